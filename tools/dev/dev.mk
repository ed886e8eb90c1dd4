# SPDX-License-Identifier: Apache-2.0
#
# What serves the people who work on fairlead: dependencies, checks of the house rules, formatting, installation.

C_DIRS   := bpf vmlinux userspace cni agent control tests tools
C_FILES  := $(sort $(shell find $(C_DIRS) -path tools/dev/tests -prune -o \( -name '*.c' -o -name '*.h' \) -print 2>/dev/null))
TIDY_SRC := $(filter-out %.bpf.c,$(filter %.c,$(C_FILES)))

.PHONY: deps check lint format tidy laws symbols install reference clean

deps: ## install the packages that are missing (apt; needs root)
	@tools/dev/deps.sh

check: ## everything that needs no root and no server: builds, lint, house rules, unit tests under the sanitizers
	@tools/dev/deps.sh --check
	@tests/run --build $(O) --check

lint: laws symbols tidy ## clang-format, house rules, clang-tidy; no tests

laws:
	@tools/dev/check_format $(C_FILES)
	@tools/dev/check_deps
	@tools/dev/check_sizes
	@tools/dev/check_spdx

symbols: $(ALL_LIBS)
	@tools/dev/check_symbols $(sort $^)

format: ## rewrite all C files by .clang-format
	@clang-format -i $(C_FILES)

# clang-tidy is slow: a file is looked at again when its object is (it or a header changed), or when the checks change.
tidy: $(patsubst %.c,$(O)/tidy/%.ok,$(TIDY_SRC))
$(O)/tidy/%.ok: %.c $(O)/obj/%.o .clang-tidy tests/.clang-tidy
	$(call say,TIDY,$<)
	$(Q)mkdir -p $(@D)
	$(Q)clang-tidy --quiet $< -- $(filter-out -W%,$(COMMON_CFLAGS) $(FILE_CFLAGS)) 2>$@.log || { cat $@.log; false; }
	$(Q)touch $@

reference: all ## write docs/reference.md from what the programs say of their flags
	$(PYTHON) tools/dev/reference.py $(O) > docs/reference.md.tmp && mv docs/reference.md.tmp docs/reference.md

UNITS := $(wildcard packaging/systemd/*.service)

install: all ## copy programs, systemd units, documents and licence below $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/share/doc/fairlead/docs
	for unit in $(UNITS); do sed 's,@PREFIX@,$(PREFIX),g' $$unit > $(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/} || exit; done
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(wildcard LICENSE README.md ARCHITECTURE.md) $(DESTDIR)$(PREFIX)/share/doc/fairlead
	install -m 644 $(wildcard docs/*.md) $(DESTDIR)$(PREFIX)/share/doc/fairlead/docs

clean: ## remove all that was built
	rm -rf $(O)
