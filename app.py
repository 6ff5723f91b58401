"""CDK app: `cdk synth -c env=<environment>`, which is dev unless given.

More of the context: engine, model and layout, for every option that takes them; release, the path of a manifest.
"""

import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def main() -> None:
    # Ctrl-C just ends it: there is nothing to tidy up, and a traceback through jsii tells nobody anything.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # The CDK CLI runs this file as a script, which knows no source root but the script's own folder.
    sys.path.append(str(ROOT / "contract"))
    import aws_cdk as cdk

    from infra.application import add_stacks
    from infra.environments import find_environment
    from infra.errors import ConfigurationError

    app = cdk.App()
    release_path = app.node.try_get_context("release")
    try:
        context = app.node.try_get_context
        environment = find_environment(context("env") or "dev").serving(context("engine"), context("model"), context("layout"))
        add_stacks(app, environment, ROOT, Path(release_path) if release_path else None)
    except ConfigurationError as error:
        sys.exit(f"error: {error}")
    app.synth()


if __name__ == "__main__":
    main()
