PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin
TORCH ?= torch==2.13.0
SIDE ?= 256
SANITIZE = build/sanitize

.PHONY: demo test install wheel wheels develop lint format bench compare figures docs audit sanitize fuzz headers clang aarch64 \
	two-torches gpu cuda-cost registers clean

demo: install  ## segment real nuclei with the weights that come along, say how well, and draw them into demo/
	$(RUN)/pip install --quiet --no-deps stardist
	$(RUN)/embedseg-ops demo

test: $(RUN)/python  ## build and install with the extras for testing, then run all tests
	$(RUN)/pip install --quiet --no-build-isolation ".[test]"
	$(RUN)/pip install --quiet --no-deps stardist
	$(RUN)/python -m pytest

$(RUN)/python:
	$(PYTHON) -m venv $(VENV)
	$(RUN)/pip install --quiet --upgrade pip
	$(RUN)/pip install --quiet "$(TORCH)"
	$(RUN)/pip install --quiet scikit-build-core cmake ninja numpy scipy scikit-image

install: $(RUN)/python
	$(RUN)/pip install --quiet --no-build-isolation .

wheel: $(RUN)/python  ## into dist/, with CUDA kernels for every architecture: takes a while
	$(RUN)/pip wheel --no-build-isolation --no-deps --wheel-dir dist \
		-C cmake.define.EMBEDSEG_CUDA_ARCHITECTURES=RELEASE .

wheels: $(RUN)/python  ## the CPU wheel into dist/, repaired, and tested on each of PYTHONS="python3.11 ..."
	tests/wheels.sh $(RUN)/python $(PYTHONS)

develop: $(RUN)/python  ## an editable install that rebuilds on import
	$(RUN)/pip install --no-build-isolation -e ".[test,lint]"

lint: $(RUN)/python
	$(RUN)/pip install --quiet "ruff==0.17.6" "clang-format==23.1.5" "mypy>=1.18"
	$(RUN)/ruff check . && $(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/clang-format --dry-run --Werror $$(git ls-files 'csrc/*.h' 'csrc/*.cpp' 'csrc/*.cu' 'tests/*.h' 'tests/*.cpp' 'examples/*.cpp')

format: $(RUN)/python
	$(RUN)/ruff check --fix . ; $(RUN)/ruff format .
	$(RUN)/clang-format -i $$(git ls-files 'csrc/*.h' 'csrc/*.cpp' 'csrc/*.cu' 'tests/*.h' 'tests/*.cpp' 'examples/*.cpp')

bench: install
	$(RUN)/python -m benchmarks

compare: install  ## measure again; fails where something became slower than OLD=FILE.json says
	$(RUN)/python -m benchmarks --compare $(or $(OLD),$(error give OLD=FILE.json))

figures: install  ## the plots and the table of docs/performance.md, from what was measured: FROM=FILE.json
	$(RUN)/python -m benchmarks --from $(FROM) --plots benchmarks/results --page docs/performance.md

docs: $(RUN)/python  ## the documentation as a site in build/docs; a warning is an error
	$(RUN)/pip install --quiet --no-build-isolation ".[docs]"
	OMP_NUM_THREADS=1 $(RUN)/python -m sphinx -q -W --keep-going docs build/docs

audit: install  ## the built library must keep to torch's stable ABI
	$(RUN)/pip install --quiet torch-abi-audit
	$(RUN)/torch-abi-audit embedseg_ops --check torch

sanitize: $(RUN)/python  ## the operator tests under AddressSanitizer and UBSan
	tests/sanitize.sh $(RUN)/python $(SANITIZE)

N ?= 2000
fuzz: install  ## random calls, compared with the reference: N=2000, from seed FIRST=0 on
	cd tests && ../$(RUN)/python -m fuzz $(N) $(FIRST)

headers clang aarch64: $(RUN)/python  ## every header compiles alone; the library builds with clang; for aarch64
	tests/compilers.sh $(RUN)/python $@

# With PYTHON=python3 VENV= the system's Python is used, with the torch that it has, and nothing is downloaded.
gpu:  ## on a machine with a GPU: measure, test, compute-sanitizer; PART=measure | test | sanitize for one of them
ifeq ($(VENV),)
	$(PYTHON) -m pip install --quiet --no-build-isolation --no-deps -C cmake.define.EMBEDSEG_CUDA=ON .
	tests/gpu.sh $(PYTHON) $(PART)
else
	$(MAKE) install TORCH=torch
	$(RUN)/pip install --quiet "pytest>=8" "hypothesis>=6" expecttest
	tests/gpu.sh $(RUN)/python $(PART)
endif

cuda-cost: install  ## what a GPU has to do, counted on the compiled kernels, and predicted times; nvcc, no GPU
	PYTHONPATH=tests:. $(RUN)/python -m ptx.cost --side $(SIDE)

registers: $(RUN)/python  ## registers and spills of every CUDA kernel; needs nvcc, no GPU
	PYTHON=$(RUN)/python tests/registers.sh 90

two-torches:  ## built on the oldest and on the newest torch, and each wheel on the other
	tests/two_torches.sh $(PYTHON) 2.10.0 2.13.0

clean:
	rm -rf build dist $(VENV)
