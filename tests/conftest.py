"""Settings of the whole test suite, and the devices that the operators' tests run on."""

import pytest
from devices import CAN_BUILD, HAS_GPU, MODES
from hypothesis import HealthCheck, settings

# A device is the same for all examples, so they may share the fixture.
settings.register_profile(
    "deterministic",
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("deterministic")

NO_BUILD = pytest.mark.skipif(not CAN_BUILD, reason="cmake, ninja and a C++ compiler are needed")
DEVICES = ["cpu", pytest.param("cuda_on_cpu", marks=NO_BUILD), *(["gpu"] if HAS_GPU else [])]


@pytest.fixture(scope="session", autouse=True)
def no_power_cuts():
    """Leave files to the system's cache: waiting for a disk takes milliseconds a file, and tests write thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda number: None)
        yield


@pytest.fixture(params=DEVICES)
def device(request):
    """Run a test on every device: its calls of the operators are taken there."""
    if request.param == "cpu":
        yield request.param
    else:
        with MODES[request.param]():
            yield request.param
