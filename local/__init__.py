"""The embedded AWS: everything the product needs of AWS, on one machine, with no account.

`local.emulator` is the AWS (a moto server and what moto leaves out), `local.demo` deploys to it with the real CDK CLI and
sends recordings through.
"""
