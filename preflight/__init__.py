"""Before a deployment: will the account take it?"""
