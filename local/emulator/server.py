"""moto's server with our pieces in it, for one process."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from local.emulator.surroundings import ACCOUNT, Surroundings

# moto reads these when it is imported.
_MOTO_SETTINGS: Final = {"MOTO_ACCOUNT_ID": ACCOUNT}


def start(port: int, state: Path, logs: Path) -> Callable[[], None]:
    """Serve the embedded AWS on `port` of this machine's loopback, in threads; returns what ends it."""
    os.environ.update(_MOTO_SETTINGS, MOTO_PORT=str(port))
    surroundings = Surroundings(port, state, logs)
    # moto refers to itself by boto3 in places; it must not reach a real account.
    os.environ.update(surroundings.credentials)

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    from local.emulator import (
        async_inference,
        bucket_properties,
        change_sets,
        cloudformation_types,
        endpoints,
        event_rules,
        event_sources,
        functions,
        role_access,
        runtime_api,
        schedules,
        state_machines,
        transform_jobs,
    )

    cloudformation_types.install(surroundings)
    change_sets.install()
    bucket_properties.install(surroundings)
    role_access.install(surroundings)
    running_functions = functions.install(surroundings)
    sources = event_sources.install(surroundings)
    running_endpoints = endpoints.install(surroundings)
    requests = async_inference.AsyncInference(surroundings)
    runtime_api.install(running_endpoints, requests)
    running_jobs = transform_jobs.install(surroundings)
    state_machines.install(surroundings)
    targets = event_rules.Targets(surroundings)
    event_rules.install(targets)

    server = make_server("127.0.0.1", port, DomainDispatcherApplication(create_backend_app), threaded=True)
    threading.Thread(target=server.serve_forever, name="embedded-aws", daemon=True).start()
    sources.start()
    schedules.Schedules(surroundings, targets).start()
    surroundings.ready_file.touch()

    def stop() -> None:
        requests.stop()
        running_jobs.stop()
        running_endpoints.stop()
        running_functions.stop()

    return stop
