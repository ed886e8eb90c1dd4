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
# The fences that it does not follow stand next to atomic loads, which it does.
SANFLAGS := -fsanitize=thread -fno-omit-frame-pointer -Wno-tsan
else ifdef SAN
override O := $(O)/san
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif

# clang 16: the first whose BPF backend can do all that the programs ask for.
BPF_CC  ?= clang-16
BPF_CFLAGS = -target bpf -mcpu=v3 -O2 -g -std=gnu17 -Wall -Wextra -Wshadow -Wno-unused-parameter -Werror -I. -Ibpf -Ivmlinux \
             -isystem /usr/include/$(shell $(CC) -print-multiarch 2>/dev/null)

WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter -Werror
CFLAGS  ?= -O2 -g
COMMON_CFLAGS = -std=gnu17 $(WARN) -D_GNU_SOURCE -DFAIRLEAD_VERSION='"$(VERSION)"' \
                -I. -Iuserspace -Icontrol -Itools -I$(O)/gen -isystem /usr/include/libnl3 -fstack-protector-strong -pthread
ALL_CFLAGS = $(COMMON_CFLAGS) $(CFLAGS) $(SANFLAGS)
FILE_CFLAGS = $(if $(filter tests/%,$<),-Itests -Wno-missing-prototypes) $(if $(filter $(O)/gen/%,$<),-Wno-missing-field-initializers -O1)
LDFLAGS ?=
LIBS_datapath := -lbpf -lelf
LIBS_netlink := -lnl-route-3 -lnl-3
LIBS    := -lgnutls -ljson-c -lcurl -lyaml -lsqlite3 -levent -levent_pthreads -lz -lpthread -lm

comma := ,
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-6s %s\n' $(1) $(2))
c_files = $(sort $(shell find $(1) -name '*.c' 2>/dev/null))
obj = $(patsubst %.c,$(O)/obj/%.o,$(1))

# A component is a folder; its archive holds every .c below it, but for the mains of the programs.
MAINS     := control/apiserver/main.c control/controllers/main.c control/scheduler/main.c tools/ctl/main.c tools/hollow/main.c agent/main.c agent/kubelet/main.c agent/kubelet/shim/main.c cni/main.c
SRC_base  := $(call c_files,userspace/base)
SRC_kube  := $(call c_files,userspace/kube)
SRC_http  := $(call c_files,userspace/http)
SRC_store := $(call c_files,control/store)
SRC_apiserver := $(filter-out $(MAINS),$(call c_files,control/apiserver))
SRC_runtime := $(call c_files,control/runtime)
SRC_controllers := $(filter-out $(MAINS),$(call c_files,control/controllers))
SRC_scheduler := $(filter-out $(MAINS),$(call c_files,control/scheduler))
SRC_ctl   := $(filter-out $(MAINS),$(call c_files,tools/ctl))
SRC_hollow := $(filter-out $(MAINS),$(call c_files,tools/hollow))
SRC_datapath := $(call c_files,userspace/datapath)
SRC_agent := $(filter-out agent/kubelet/% $(MAINS),$(call c_files,agent))
SRC_kubelet := $(filter-out $(MAINS),$(call c_files,agent/kubelet))
SRC_shim  := $(call c_files,agent/kubelet/shim)
SRC_cni   := $(filter-out $(MAINS),$(call c_files,cni))
BPF_SRC   := $(sort $(wildcard bpf/*.bpf.c))
BPF_OBJ   := $(patsubst bpf/%.bpf.c,$(O)/bpf/%.bpf.o,$(BPF_SRC))
SCHEMA    := $(wildcard userspace/kube/schema/*)
GEN_kube  := $(O)/gen/schema_tables.c
GEN_apiserver := $(O)/gen/protobuf_tables.c

LIB_base  := $(O)/libbase.a
LIB_kube  := $(O)/libkube.a
LIB_http  := $(O)/libhttp.a
LIB_store := $(O)/libstore.a
LIB_apiserver := $(O)/libapiserver.a
LIB_runtime := $(O)/libruntime.a
LIB_controllers := $(O)/libcontrollers.a
LIB_scheduler := $(O)/libscheduler.a
LIB_ctl   := $(O)/libctl.a
LIB_hollow := $(O)/libhollow.a
LIB_datapath := $(O)/libdatapath.a
LIB_agent := $(O)/libagent.a
LIB_kubelet := $(O)/libkubelet.a
LIB_cni   := $(O)/libcni.a
KUBELET_MISSING := $(filter-out $(wildcard agent/kubelet/*/*.c),$(addprefix agent/kubelet/,pods/pods.c pods/spec.c volumes/volumes.c probes/probes.c server/server.c))
PROGRAMS  := $(O)/fairlead-apiserver $(O)/fairlead-controller-manager $(O)/fairlead-scheduler $(O)/fairctl $(O)/fairlead-hollow $(if $(wildcard agent/main.c),$(O)/fairlead-agent) $(if $(wildcard cni/main.c),$(O)/fairlead-cni) $(if $(KUBELET_MISSING),,$(O)/fairlead-kubelet) $(O)/fairlead-shim

.PHONY: all help FORCE
.DELETE_ON_ERROR:

all: $(PROGRAMS) ## build everything into build/

help: ## show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@sed -n '/^# Variables:/,/^$$/s/^# */  /p' Makefile

$(LIB_base): $(call obj,$(SRC_base))
$(LIB_kube): $(call obj,$(SRC_kube)) $(GEN_kube:.c=.o)
$(LIB_http): $(call obj,$(SRC_http))
$(LIB_store): $(call obj,$(SRC_store))
$(LIB_apiserver): $(call obj,$(SRC_apiserver)) $(GEN_apiserver:.c=.o)
$(LIB_runtime): $(call obj,$(SRC_runtime))
$(LIB_controllers): $(call obj,$(SRC_controllers))
$(LIB_scheduler): $(call obj,$(SRC_scheduler))
$(LIB_ctl): $(call obj,$(SRC_ctl))
$(LIB_hollow): $(call obj,$(SRC_hollow))
$(LIB_datapath): $(call obj,$(SRC_datapath)) $(if $(BPF_OBJ),$(O)/gen/bpf_objects.o)
$(LIB_agent): $(call obj,$(SRC_agent))
$(LIB_kubelet): $(call obj,$(SRC_kubelet))
$(LIB_cni): $(call obj,$(SRC_cni))

# The stamps change when the compiler or its flags, or the set of sources, change; what depends on them is built again.
$(O)/stamp.flags: export STAMP = $(shell $(CC) --version 2>&1 | head -n 1) $(ALL_CFLAGS)
$(O)/stamp.link: export STAMP = $(shell $(CC) --version 2>&1 | head -n 1) $(ALL_CFLAGS) $(LDFLAGS) $(LIBS)
$(O)/stamp.sources: export STAMP = $(SRC_base) $(SRC_kube) $(SRC_http) $(SRC_store) $(SRC_apiserver) $(SRC_runtime) $(SRC_controllers) $(SRC_scheduler) $(SRC_ctl) $(SRC_hollow) $(SRC_datapath) $(SRC_agent) $(SRC_kubelet) $(SRC_cni) $(TEST_LIB_SRC)
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

$(O)/bpf/%.bpf.o: bpf/%.bpf.c $(O)/stamp.flags
	$(call say,BPFCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(BPF_CC) $(BPF_CFLAGS) -MMD -MP -c -o $@ $<

# The ELF files of the programs inside the ones that load them: bpf_object_<name>[] and bpf_object_<name>_end[].
$(O)/gen/bpf_objects.S: $(BPF_OBJ) $(O)/stamp.sources
	$(Q)mkdir -p $(@D)
	$(Q){ printf '.section .rodata\n'; for f in $(BPF_OBJ); do n=$$(basename $$f .bpf.o); \
	  printf '.global bpf_object_%s\n.global bpf_object_%s_end\n.balign 16\nbpf_object_%s:\n.incbin "%s"\nbpf_object_%s_end:\n' \
	  $$n $$n $$n $$f $$n; done; printf '.section .note.GNU-stack,"",@progbits\n'; } > $@
$(O)/gen/bpf_objects.o: $(O)/gen/bpf_objects.S
	$(Q)$(CC) -c -o $@ $<

# Requests are trees of small nodes, made and freed by many threads: with mimalloc a create cost about 40 % less CPU
# than with libc's malloc. The sanitizers bring an allocator of their own. (private: or the stamps, which are prerequisites, would
# inherit it, and differ with every goal.)
$(O)/fairlead-apiserver: private LIBS += $(if $(SAN),,-lmimalloc)
$(O)/fairlead-apiserver: $(call obj,control/apiserver/main.c) $(LIB_apiserver) $(LIB_store) $(LIB_http) $(LIB_kube) $(LIB_base)
$(O)/fairlead-controller-manager: private LIBS += $(if $(SAN),,-lmimalloc)
$(O)/fairlead-controller-manager: $(call obj,control/controllers/main.c) $(LIB_controllers) $(LIB_runtime) $(LIB_kube) $(LIB_base)
$(O)/fairlead-scheduler: private LIBS += $(if $(SAN),,-lmimalloc)
$(O)/fairlead-scheduler: $(call obj,control/scheduler/main.c) $(LIB_scheduler) $(LIB_runtime) $(LIB_kube) $(LIB_base)
$(O)/fairctl: $(call obj,tools/ctl/main.c) $(LIB_ctl) $(LIB_datapath) $(LIB_kube) $(LIB_base)
$(O)/fairlead-hollow: private LIBS += $(if $(SAN),,-lmimalloc)
$(O)/fairlead-hollow: $(call obj,tools/hollow/main.c) $(LIB_hollow) $(LIB_kube) $(LIB_base)
$(O)/fairlead-agent: $(call obj,agent/main.c) $(LIB_agent) $(LIB_datapath) $(LIB_kube) $(LIB_base)
$(O)/fairlead-cni: $(call obj,cni/main.c) $(LIB_cni) $(LIB_kube) $(LIB_base)
$(O)/fairctl $(O)/fairlead-agent: private LIBS += $(LIBS_datapath)
$(O)/fairlead-agent: private LIBS += $(LIBS_netlink)
# The plugin lives for two milliseconds and is copied to where the runtime looks for it: static, it starts in a third less
# time and needs nothing there. (libnl's resolver, which the linker warns of, is not used.)
$(O)/fairlead-cni: private LIBS = $(if $(SAN),,-static $(if $(findstring --no-warnings,$(shell ld --help)),-Wl$(comma)--no-warnings)) -lnl-3 -ljson-c
$(O)/fairlead-kubelet: $(call obj,agent/kubelet/main.c) $(LIB_kubelet) $(LIB_http) $(LIB_kube) $(LIB_base)
# One stays beside every container: static, and nothing of the libraries.
$(O)/fairlead-shim: $(call obj,$(SRC_shim))
$(O)/fairlead-shim: private LIBS = $(if $(SAN),,-static)

$(PROGRAMS): $(O)/stamp.link
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

include tests/tests.mk
include tools/dev/dev.mk

-include $(shell find $(O)/obj $(O)/gen $(O)/fuzz/obj $(O)/bpf -name '*.d' 2>/dev/null)
