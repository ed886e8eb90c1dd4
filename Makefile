# SPDX-License-Identifier: Apache-2.0
#
# `make help` lists the targets. Everything that is built goes to $(O), by default build/.
#
# Variables: SAN=1 (ASan + UBSan, in build/san), SAN=thread (TSan, in build/tsan), CC, CFLAGS, LDFLAGS,
#            O (build folder), V=1 (show commands), DESTDIR and PREFIX (install), KEEP=1 (demo),
#            FUZZ=name and TIME=seconds (fuzz)

O       ?= build
PYTHON  ?= /usr/bin/python3
PREFIX  ?= /usr/local
DESTDIR ?=
MAKEFLAGS += --no-builtin-rules
ifeq ($(origin CC),default)
CC := gcc
endif

VERSION := 0.1.0

ifeq ($(SAN),thread)
override O := $(O)/tsan
SANFLAGS := -fsanitize=thread -fno-omit-frame-pointer
else ifdef SAN
override O := $(O)/san
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif

WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter -Werror
CFLAGS  ?= -O2 -g
COMMON_CFLAGS = -std=gnu17 $(WARN) -D_GNU_SOURCE -DFAIRLEAD_VERSION='"$(VERSION)"' \
                -Iuserspace -Icontrol -Itools -I$(O)/gen -fstack-protector-strong -pthread
ALL_CFLAGS = $(COMMON_CFLAGS) $(CFLAGS) $(SANFLAGS)
FILE_CFLAGS = $(if $(filter tests/%,$<),-Itests -Wno-missing-prototypes) $(if $(filter $(O)/gen/%,$<),-Wno-missing-field-initializers -O1)
LDFLAGS ?=
LIBS    := -lgnutls -ljson-c -lcurl -lyaml -lsqlite3 -levent -levent_pthreads -lz -lpthread -lm

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-6s %s\n' $(1) $(2))
c_files = $(sort $(shell find $(1) -name '*.c' 2>/dev/null))
obj = $(patsubst %.c,$(O)/obj/%.o,$(1))

# A component is a folder; its archive holds every .c below it, but for the mains of the programs.
MAINS     := control/apiserver/main.c tools/ctl/main.c
SRC_base  := $(call c_files,userspace/base)
SRC_kube  := $(call c_files,userspace/kube)
SRC_store := $(call c_files,control/store)
SRC_apiserver := $(filter-out $(MAINS),$(call c_files,control/apiserver))
SRC_ctl   := $(filter-out $(MAINS),$(call c_files,tools/ctl))
SCHEMA    := $(wildcard userspace/kube/schema/*)
GEN_kube  := $(O)/gen/schema_tables.c
GEN_apiserver := $(O)/gen/protobuf_tables.c

LIB_base  := $(O)/libbase.a
LIB_kube  := $(O)/libkube.a
LIB_store := $(O)/libstore.a
LIB_apiserver := $(O)/libapiserver.a
LIB_ctl   := $(O)/libctl.a
PROGRAMS  := $(O)/fairlead-apiserver $(O)/fairctl

.PHONY: all help FORCE
.DELETE_ON_ERROR:

all: $(PROGRAMS) ## build everything into build/

help: ## show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@sed -n '/^# Variables:/,/^$$/s/^# */  /p' Makefile

$(LIB_base): $(call obj,$(SRC_base))
$(LIB_kube): $(call obj,$(SRC_kube)) $(GEN_kube:.c=.o)
$(LIB_store): $(call obj,$(SRC_store))
$(LIB_apiserver): $(call obj,$(SRC_apiserver)) $(GEN_apiserver:.c=.o)
$(LIB_ctl): $(call obj,$(SRC_ctl))

# The stamps change when the compiler or its flags, or the set of sources, change; what depends on them is built again.
$(O)/stamp.flags: export STAMP = $(shell $(CC) --version 2>&1 | head -n 1) $(ALL_CFLAGS)
$(O)/stamp.link: export STAMP = $(shell $(CC) --version 2>&1 | head -n 1) $(ALL_CFLAGS) $(LDFLAGS) $(LIBS)
$(O)/stamp.sources: export STAMP = $(SRC_base) $(SRC_kube) $(SRC_store) $(SRC_apiserver) $(SRC_ctl) $(TEST_LIB_SRC)
$(O)/stamp.%: FORCE | $(O)/stamp-deps
	@printf '%s\n' "$$STAMP" | cmp -s - $@ || printf '%s\n' "$$STAMP" > $@

# Before the first compilation: a missing package is named, instead of a header that nobody finds.
$(O)/stamp-deps: tools/dev/deps.sh
	@tools/dev/deps.sh --check build
	@mkdir -p $(@D) && touch $@

$(O)/%.a: $(O)/stamp.sources
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

$(O)/obj/%.o: %.c $(O)/stamp.flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(FILE_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/gen/%.o: $(O)/gen/%.c $(O)/stamp.flags
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) $(FILE_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/gen/schema_tables.c: tools/dev/schemagen.py $(SCHEMA)
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(PYTHON) tools/dev/schemagen.py schema userspace/kube/schema > $@.tmp && mv $@.tmp $@

$(O)/gen/protobuf_tables.c: tools/dev/schemagen.py $(SCHEMA)
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(PYTHON) tools/dev/schemagen.py protobuf userspace/kube/schema > $@.tmp && mv $@.tmp $@

# Requests are trees of small nodes, made and freed by many threads: with mimalloc a create cost about 40 % less CPU
# than with libc's malloc. The sanitizers bring an allocator of their own. (private: or the stamps, which are prerequisites, would
# inherit it, and differ with every goal.)
$(O)/fairlead-apiserver: private LIBS += $(if $(SAN),,-lmimalloc)
$(O)/fairlead-apiserver: $(call obj,control/apiserver/main.c) $(LIB_apiserver) $(LIB_store) $(LIB_kube) $(LIB_base)
$(O)/fairctl: $(call obj,tools/ctl/main.c) $(LIB_ctl) $(LIB_kube) $(LIB_base)

$(PROGRAMS): $(O)/stamp.link
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

include tests/tests.mk
include tools/dev/dev.mk

-include $(shell find $(O)/obj $(O)/gen $(O)/fuzz/obj -name '*.d' 2>/dev/null)
