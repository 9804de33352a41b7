# tenantd: `make run`, `make test`, `make escape`, `make neighbours`, `make bench`, `make install`,
# `make deb`, `make test-vm`, `make image`, `make test-container`. Everything that
# these need is prepared first, and kept in build/ until its recipe changes.
SHELL := /bin/bash
PRESET ?= release

ifneq ($(shell id -u),0)
$(error tenantd: needs root, to make the userland and to confine tenants)
endif

.PHONY: all run test escape neighbours bench asan fuzz format clean install deb test-vm image test-container wpt wpt-update programs node-tests node-tests-update test-full
.DELETE_ON_ERROR:

all: build/tenantctl build/examples/hono/main.js

run: all
	@tools/run

test: all asan build/npm test/wpt/node_modules/.ready test/types/node_modules/.ready \
		test/programs/node_modules/.ready
	@tools/test

# PREFIX (/usr/local) and DESTDIR, as usual.
install: all
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' tools/install

deb: all
	@tools/deb

# The package in a machine with systemd: install, restart, kill, reboot.
test-vm: all
	@tools/test-vm

# For docker and podman: build/image/tenantd.tar.
image: all
	@tools/image

# The image in podman: signals, exit codes, orphans, what it is confined by.
test-container: all
	@tools/test-container

# The web platform tests that the standards' authors have written, and what is expected of
# them (test/wpt/status). wpt-update writes what happened there and into docs/conformance.md.
wpt: all test/wpt/node_modules/.ready
	@tools/node-source
	@tools/userland python3 test/wpt/wpt.py

wpt-update: all test/wpt/node_modules/.ready
	@tools/node-source
	@tools/userland python3 test/wpt/wpt.py --update

# Node's own tests of the modules that are here, and what is expected of them
# (test/node/status). `make test` runs those of test/node/node_tests.py's QUICK; all of them take
# some minutes. node-tests-update writes what happened there and into docs/conformance.md.
node-tests: all
	@tools/node-source
	@tools/userland python3 test/node/node_tests.py

node-tests-update: all
	@tools/node-source
	@tools/userland python3 test/node/node_tests.py --update

# What `make test` runs a part of only, all of it.
test-full: test node-tests

# Programs on well-known npm packages, which are installed for it, as tenants.
programs: all test/programs/node_modules/.ready
	@tools/userland python3 test/run.py programs

# What is tried to get out, what stops it, and where only one layer does.
neighbours: all
	@tools/userland python3 test/run.py neighbours

escape: all
	@tools/userland python3 test/escape/battery.py run

bench: all
	@tools/bench

asan: isolate/js/node_modules/.ready
	@tools/build asan

build/tenantctl: tools/tenantctl-host build
	@install -m 755 $< $@

# CMake and Ninja know best what is out of date.
.PHONY: build
build: isolate/js/node_modules/.ready
	@tools/build $(PRESET)

%/node_modules/.ready: %/package-lock.json
	@tools/npm-packages $*

build/examples/hono/main.js: docs/examples/hono/main.js docs/examples/hono/node_modules/.ready
	@tools/userland esbuild $< --bundle --format=esm --platform=neutral \
		--main-fields=module,main --conditions=worker,import --log-level=warning --outfile=$@

# For the test of a CI job: npm itself, which is not in the userland.
build/npm: tools/npm-itself
	@tools/npm-itself $@

fuzz: isolate/js/node_modules/.ready
	@tools/fuzz

format:
	@tools/userland bash -c 'git ls-files "*.[ch]" "*.cc" | xargs clang-format -i'

clean:
	@rm -rf build/release build/debug build/asan build/fuzz build/examples build/tenantctl build/tenantd_*.deb
