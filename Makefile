# The two commands of the README set up everything: make demo, make test.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12,$(if $(shell $(name) --version 2>/dev/null),$(name))) python3)
BIN := .venv/bin
NEWEST := .venv-newest/bin
FACES := data/celeba_procedural
ASTRONAUT := data/astronaut.png

.PHONY: demo demo-mgmtn test test-newest soak lint format protos install clean

install: .venv/installed

# pyproject.toml holds [build-system] only and setup.cfg the rest, so both decide what is installed.
.venv/installed: setup.cfg pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint .ci/constraints.txt --editable '.[keypoints,protos,dev]'
	touch $@

.venv-newest/installed: setup.cfg pyproject.toml .ci/constraints-newest.txt
	$(PYTHON) -m venv .venv-newest
	$(NEWEST)/pip install --quiet --constraint .ci/constraints-newest.txt --editable '.[dev]'
	touch $@

$(FACES): | .venv/installed
	$(BIN)/python -m farkeras.synthesize --layout=celeba --num_images=6000 --seed=0 --output=$(FACES)

$(ASTRONAUT): | .venv/installed
	mkdir -p $(@D)
	$(BIN)/python -c "import skimage; skimage.io.imsave('$@', skimage.data.astronaut())"

# FAR-AMTN: faces in CelebA's format, training, export, evaluation, a photograph.
demo: $(FACES) $(ASTRONAUT)
	$(BIN)/python -m farkeras.train --flagfile=configs/demo.flags --workdir=runs/demo
	$(BIN)/python export/export_saved_model.py --workdir=runs/demo
	$(BIN)/python -m farkeras.evaluate --workdir=runs/demo
	$(BIN)/python -m farkeras.predict $(ASTRONAUT) --workdir=runs/demo

# MGMTN: the same, with masks from the faces' key points, and the regions drawn on the photograph.
demo-mgmtn: $(FACES) $(ASTRONAUT)
	$(BIN)/python -m farkeras.annotate --data_dir=$(FACES)
	$(BIN)/python -m farkeras.train --flagfile=configs/demo_mgmtn.flags --workdir=runs/demo_mgmtn
	$(BIN)/python export/export_saved_model.py --workdir=runs/demo_mgmtn
	$(BIN)/python -m farkeras.evaluate --workdir=runs/demo_mgmtn
	$(BIN)/python -m farkeras.predict $(ASTRONAUT) --workdir=runs/demo_mgmtn --overlay=runs/demo_mgmtn/astronaut.png

# Two processes, each with whole files: tests share what a file's fixtures make.
PYTEST := -m pytest --numprocesses=2 --dist=loadfile

test: lint
	$(BIN)/python $(PYTEST)

# The core, on the newest TensorFlow and without mediapipe.
test-newest: .venv-newest/installed
	$(NEWEST)/python $(PYTEST)

# Five minutes: a long load on the local server, with hot swaps and everything that may go wrong.
soak: $(FACES)
	$(BIN)/python serving/soak.py --images=$(FACES)/img_align_celeba

lint: install
	$(BIN)/ruff check --config .ci/ruff.toml .
	$(BIN)/ruff format --config .ci/ruff.toml --check .

format: install
	$(BIN)/ruff check --config .ci/ruff.toml --fix .
	$(BIN)/ruff format --config .ci/ruff.toml .

# The messages of the clients and the local server. This version's code runs on protobuf 4.25 and every later one.
protos: install
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. farkeras/clients/protos/*.proto

clean:
	rm -rf .venv .venv-newest build dist *.egg-info .pytest_cache .ruff_cache
