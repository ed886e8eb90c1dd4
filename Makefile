# SPDX-License-Identifier: Apache-2.0
#
# make            build everything into build/
# make deps       install what is missing (apt)
# make check      everything that needs no root: lint, unit tests under the sanitizers
# make test       deps, build, every test; the last line is "N passed, N failed, N skipped"
# make help       all targets
#
# Variables: SAN=1 (ASan + UBSan), CC, O (build folder), DESTDIR, PREFIX, V=1 (show commands)

O       ?= build
CC      ?= gcc
PYTHON  ?= /usr/bin/python3
PREFIX  ?= /usr/local
DESTDIR ?=
MAKEFLAGS += --no-builtin-rules

VERSION := 0.1.0

ifdef SAN
O := $(O)/san
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif

WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter -Werror
CFLAGS  ?= -O2 -g
ALL_CFLAGS = -std=gnu17 $(CFLAGS) $(WARN) $(SANFLAGS) -D_GNU_SOURCE -DFAIRLEAD_VERSION='"$(VERSION)"' \
             -Iuserspace -Icontrol -I$(O)/gen -fstack-protector-strong -pthread
LDFLAGS ?=
LIBS    := -lmicrohttpd -lgnutls -ljson-c -lcurl -lyaml -lsqlite3 -levent -levent_pthreads -lz -lpthread -lm

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-6s %s\n' $(1) $(2))

# A component is a folder; its archive holds every .c below it, but for the mains of the programs.
MAINS     := control/apiserver/main.c tools/ctl/main.c
SRC_base  := $(sort $(wildcard userspace/base/*.c))
SRC_kube  := $(sort $(shell find userspace/kube -name '*.c'))
SRC_store := $(sort $(shell find control/store -name '*.c'))
SRC_apiserver := $(filter-out $(MAINS),$(sort $(shell find control/apiserver -name '*.c')))
SRC_ctl   := $(filter-out $(MAINS),$(sort $(shell find tools/ctl -name '*.c')))
GEN_kube  := $(O)/gen/schema_tables.c
GEN_apiserver := $(O)/gen/protobuf_tables.c

SCHEMA    := $(wildcard userspace/kube/schema/*)
PROGRAMS  := $(O)/fairlead-apiserver $(O)/fairctl

obj = $(patsubst %.c,$(O)/obj/%.o,$(1))

LIB_base  := $(O)/libbase.a
LIB_kube  := $(O)/libkube.a
LIB_store := $(O)/libstore.a
LIB_apiserver := $(O)/libapiserver.a
LIB_ctl   := $(O)/libctl.a

.PHONY: all help
all: $(PROGRAMS)

$(LIB_base): $(call obj,$(SRC_base))
$(LIB_kube): $(call obj,$(SRC_kube)) $(GEN_kube:.c=.o)
$(LIB_store): $(call obj,$(SRC_store))
$(LIB_apiserver): $(call obj,$(SRC_apiserver)) $(GEN_apiserver:.c=.o)
$(LIB_ctl): $(call obj,$(SRC_ctl))

$(O)/%.a:
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(O)/obj/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(O)/gen/%.o: $(O)/gen/%.c
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-missing-field-initializers -O1 -MMD -MP -c -o $@ $<

$(O)/gen/schema_tables.c: tools/dev/schemagen.py $(SCHEMA)
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(PYTHON) tools/dev/schemagen.py schema userspace/kube/schema > $@.tmp && mv $@.tmp $@

$(O)/gen/protobuf_tables.c: tools/dev/schemagen.py $(SCHEMA)
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(PYTHON) tools/dev/schemagen.py protobuf userspace/kube/schema > $@.tmp && mv $@.tmp $@

$(O)/fairlead-apiserver: $(call obj,control/apiserver/main.c) $(LIB_apiserver) $(LIB_store) $(LIB_kube) $(LIB_base)
$(O)/fairctl: $(call obj,tools/ctl/main.c) $(LIB_ctl) $(LIB_store) $(LIB_kube) $(LIB_base)

$(PROGRAMS):
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

include tests/tests.mk
include tools/dev/dev.mk

-include $(shell find $(O) -name '*.d' 2>/dev/null)
