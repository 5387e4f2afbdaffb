# SPDX-License-Identifier: MIT OR Apache-2.0
#
# For packagers. Needs cargo, a linker, a static C library and install(1); no root, and no network with a vendored source.
#
#   make              the static programs
#   make check        the tests of what ships
#   make install      everything where a distribution expects it, below DESTDIR
#   make uninstall    removes that again
#   make install-initrd  what an initramfs has that is made from packages (mkosi-initrd)
#   make install-boot    the complete units of a system without libostree's
#   make files        what `make install` installs: mode, source, destination; `make files-boot`: what `make install-boot` does
#   make licences     the licences of the crates that are linked
#   make flags        what rustc is told, a flag a line, for those who call cargo themselves
#   make clean        removes what was built
#
# docs/packaging.md explains the variables.

# Folders. The lower-case names are GNU's.
prefix = /usr
PREFIX ?= $(prefix)
bindir = $(PREFIX)/bin
BINDIR ?= $(bindir)
libdir = $(PREFIX)/lib
LIBDIR ?= $(libdir)
mandir = $(PREFIX)/share/man
MANDIR ?= $(mandir)
UNITDIR ?= $(LIBDIR)/systemd/system
BASHCOMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
DRACUTDIR ?= $(LIBDIR)/dracut
INITRAMFSTOOLSDIR ?= $(PREFIX)/share/initramfs-tools
MKINITCPIODIR ?= $(LIBDIR)/initcpio
# Not libostree's folder: no path is in both packages, so they can be installed side by side. In an initramfs the program is where
# libostree's is, /usr/lib/ostree.
PROGRAMDIR ?= $(LIBDIR)/firstroot
TMPFILESDIR ?= $(LIBDIR)/tmpfiles.d
DESTDIR ?=

# `yes`: complete units, for a system without libostree's. Otherwise drop-ins for those.
OWN_UNITS ?= no

# Of generators of one name systemd runs the one in the first of /run, /etc, /usr/local/lib and /usr/lib. libostree's is in the last, so
# beside it ours is in /etc.
GENERATORDIR ?= $(if $(filter yes,$(OWN_UNITS)),$(LIBDIR)/systemd,/etc/systemd)/system-generators

# The number orders modules. Of two with the name `ostree` dracut takes the lower one. libostree's package has `98ostree`, or
# `50ostree` from 2026 on.
DRACUT_MODULE ?= 49ostree

# Tools.
CARGO ?= cargo
RUSTC ?= rustc
INSTALL ?= install
CARGOFLAGS ?= --locked
CARGO_TARGET_DIR ?= $(CURDIR)/target/static
ifndef TARGET
TARGET := $(shell $(RUSTC) -vV | sed -n 's/^host: //p')
endif

# What is built: for tests of the project, which need less, or more.
PROGRAMS ?= ostree-prepare-root ostree-finalize-staged firstroot
FEATURES ?=

# The crates that ship, and what finishes their programs.
CRATES := ostree-formats system ostree-sysroot file-contexts selinux-policy boot-list esp-projection prepare-root real-root finalize-staged firstroot finish-program

define DROP_INS
unit units/ostree-finalize-staged.service.d/00-firstroot.conf $(UNITDIR)/ostree-finalize-staged.service.d/00-firstroot.conf
unit units/ostree-finalize-staged-hold.service.d/00-firstroot.conf $(UNITDIR)/ostree-finalize-staged-hold.service.d/00-firstroot.conf
unit units/ostree-boot-complete.service.d/00-firstroot.conf $(UNITDIR)/ostree-boot-complete.service.d/00-firstroot.conf
unit units/ostree-remount.service.d/00-firstroot.conf $(UNITDIR)/ostree-remount.service.d/00-firstroot.conf
unit units/ostree-state-overlay@.service.d/00-firstroot.conf $(UNITDIR)/ostree-state-overlay@.service.d/00-firstroot.conf
endef

define COMPLETE_UNITS
unit units/own/ostree-finalize-staged.service $(UNITDIR)/ostree-finalize-staged.service
unit units/own/ostree-finalize-staged-hold.service $(UNITDIR)/ostree-finalize-staged-hold.service
unit units/own/ostree-boot-complete.service $(UNITDIR)/ostree-boot-complete.service
unit units/own/ostree-remount.service $(UNITDIR)/ostree-remount.service
unit units/own/ostree-state-overlay@.service $(UNITDIR)/ostree-state-overlay@.service
0644 units/own/ostree-tmpfiles.conf $(TMPFILESDIR)/ostree-tmpfiles.conf
endef

UNITS = $(if $(filter yes,$(OWN_UNITS)),$(COMPLETE_UNITS),$(DROP_INS))

# Which generators of initramfs get their hooks: a distribution has one or two of them.
GENERATORS ?= dracut initramfs-tools mkinitcpio

# Mode, source, destination. `program`: 0755, and it has to be built. `script` (0755) and `unit` (0644) name the folders of the
# programs. `link`: a symbolic link.
define FILES
program ostree-prepare-root $(PROGRAMDIR)/ostree-prepare-root
program ostree-finalize-staged $(PROGRAMDIR)/ostree-finalize-staged
program firstroot $(BINDIR)/firstroot
0755 packaging/initramfs-configuration $(PROGRAMDIR)/initramfs-configuration
0644 units/initrd/ostree-prepare-root.service $(PROGRAMDIR)/ostree-prepare-root.service
0644 units/initrd/firstroot-trial-timeout.service $(PROGRAMDIR)/firstroot-trial-timeout.service
0644 units/initrd/firstroot-trial-timeout.timer $(PROGRAMDIR)/firstroot-trial-timeout.timer
0644 units/initrd/firstroot-trial-emergency.service $(PROGRAMDIR)/firstroot-trial-emergency.service
0644 units/initrd/firstroot-trial-emergency.timer $(PROGRAMDIR)/firstroot-trial-emergency.timer
link ostree-finalize-staged $(PROGRAMDIR)/ostree-system-generator
link ostree-finalize-staged $(PROGRAMDIR)/ostree-remount
link ostree-finalize-staged $(PROGRAMDIR)/ostree-state-overlay
link $(PROGRAMDIR)/ostree-system-generator $(GENERATORDIR)/ostree-system-generator
$(UNITS)
0644 units/ostree-finalize-staged-prepare.path $(UNITDIR)/ostree-finalize-staged-prepare.path
link ../ostree-finalize-staged-prepare.path $(UNITDIR)/paths.target.wants/ostree-finalize-staged-prepare.path
unit units/ostree-finalize-staged-prepare.service $(UNITDIR)/ostree-finalize-staged-prepare.service
unit units/ostree-finalize-staged-clean.service $(UNITDIR)/ostree-finalize-staged-clean.service
link ../ostree-finalize-staged-clean.service $(UNITDIR)/multi-user.target.wants/ostree-finalize-staged-clean.service
0644 units/firstroot-esp.path $(UNITDIR)/firstroot-esp.path
link ../firstroot-esp.path $(UNITDIR)/paths.target.wants/firstroot-esp.path
unit units/firstroot-esp-sync.service $(UNITDIR)/firstroot-esp-sync.service
link ../firstroot-esp-sync.service $(UNITDIR)/multi-user.target.wants/firstroot-esp-sync.service
unit units/firstroot-esp-shutdown.service $(UNITDIR)/firstroot-esp-shutdown.service
link ../firstroot-esp-shutdown.service $(UNITDIR)/multi-user.target.wants/firstroot-esp-shutdown.service
unit units/firstroot-assess.service $(UNITDIR)/firstroot-assess.service
link ../firstroot-assess.service $(UNITDIR)/multi-user.target.wants/firstroot-assess.service
unit units/firstroot-make-default.service $(UNITDIR)/firstroot-make-default.service
link ../firstroot-make-default.service $(UNITDIR)/multi-user.target.wants/firstroot-make-default.service
unit units/firstroot-esp-confirm.service $(UNITDIR)/firstroot-esp-confirm.service
link ../firstroot-esp-confirm.service $(UNITDIR)/multi-user.target.wants/firstroot-esp-confirm.service
unit units/firstroot-bless.service $(UNITDIR)/firstroot-bless.service
unit units/firstroot-boot-check.service $(UNITDIR)/firstroot-boot-check.service
unit units/firstroot-trial-failed.service $(UNITDIR)/firstroot-trial-failed.service
0644 man/ostree-finalize-staged.8 $(MANDIR)/man8/ostree-finalize-staged.8
0644 man/ostree-remount.8 $(MANDIR)/man8/ostree-remount.8
0644 man/ostree-state-overlay.8 $(MANDIR)/man8/ostree-state-overlay.8
0644 man/ostree-system-generator.8 $(MANDIR)/man8/ostree-system-generator.8
0644 man/ostree-prepare-root.8 $(MANDIR)/man8/ostree-prepare-root.8
0644 man/firstroot.8 $(MANDIR)/man8/firstroot.8
0644 man/esp.conf.5 $(MANDIR)/man5/esp.conf.5
0644 man/finalize-staged.conf.5 $(MANDIR)/man5/finalize-staged.conf.5
0644 man/prepare-root.conf.5 $(MANDIR)/man5/prepare-root.conf.5
0644 packaging/bash-completion/firstroot $(BASHCOMPLETIONDIR)/firstroot
0644 packaging/selinux/firstroot.cil $(PREFIX)/share/selinux/packages/firstroot.cil
$(foreach generator,$(GENERATORS),$(FILES_OF_$(generator)))
endef

define FILES_OF_dracut
script dracut-module/49ostree/module-setup.sh $(DRACUTDIR)/modules.d/$(DRACUT_MODULE)/module-setup.sh
0755 dracut-module/49ostree/ostree-prepare-root.sh $(DRACUTDIR)/modules.d/$(DRACUT_MODULE)/ostree-prepare-root.sh
0755 dracut-module/49ostree/ostree-usable-root.sh $(DRACUTDIR)/modules.d/$(DRACUT_MODULE)/ostree-usable-root.sh
0644 dracut-module/firstroot.conf $(DRACUTDIR)/dracut.conf.d/50-firstroot.conf

endef

define FILES_OF_initramfs-tools
script initramfs-tools/hooks/firstroot $(INITRAMFSTOOLSDIR)/hooks/firstroot
0755 initramfs-tools/scripts/prepare-root $(INITRAMFSTOOLSDIR)/scripts/local-bottom/firstroot
0755 initramfs-tools/scripts/prepare-root $(INITRAMFSTOOLSDIR)/scripts/nfs-bottom/firstroot

endef

# Not `ostree`: on Arch libostree's package has a hook of that name.
define FILES_OF_mkinitcpio
unit mkinitcpio/install/firstroot $(MKINITCPIODIR)/install/firstroot
0644 mkinitcpio/hooks/firstroot $(MKINITCPIODIR)/hooks/firstroot

endef

# The files of an initramfs that is made from packages, where nothing runs a hook.
define INITRD_FILES
program ostree-prepare-root $(LIBDIR)/ostree/ostree-prepare-root
0644 units/initrd/ostree-prepare-root.service $(UNITDIR)/ostree-prepare-root.service
link ../ostree-prepare-root.service $(UNITDIR)/initrd-root-fs.target.requires/ostree-prepare-root.service
0644 units/initrd/firstroot-trial-timeout.service $(UNITDIR)/firstroot-trial-timeout.service
0644 units/initrd/firstroot-trial-timeout.timer $(UNITDIR)/firstroot-trial-timeout.timer
link ../firstroot-trial-timeout.timer $(UNITDIR)/initrd.target.wants/firstroot-trial-timeout.timer
0644 units/initrd/firstroot-trial-emergency.service $(UNITDIR)/firstroot-trial-emergency.service
0644 units/initrd/firstroot-trial-emergency.timer $(UNITDIR)/firstroot-trial-emergency.timer
link ../firstroot-trial-emergency.service $(UNITDIR)/emergency.service.wants/firstroot-trial-emergency.service
link ../firstroot-trial-emergency.service $(UNITDIR)/dracut-emergency.service.wants/firstroot-trial-emergency.service
endef

# What `firstroot-boot` has: a package for a system without libostree's. The path of `init=` without an initramfs is libostree's.
define BOOT_FILES
$(COMPLETE_UNITS)
link $(PROGRAMDIR)/ostree-system-generator $(LIBDIR)/systemd/system-generators/ostree-system-generator
link ../firstroot/ostree-prepare-root $(LIBDIR)/ostree/ostree-prepare-root
endef

export CARGO RUSTC INSTALL CARGOFLAGS CARGO_TARGET_DIR TARGET PROGRAMS FEATURES CRATES DESTDIR PROGRAMDIR BINDIR FILES INITRD_FILES BOOT_FILES
# The generator links to units, and writes one that runs the command.
export FIRSTROOT_UNITDIR := $(UNITDIR)
export FIRSTROOT_BINDIR := $(BINDIR)

all:
	@packaging/build.sh

check:
	$(CARGO) test $(CARGOFLAGS) $(addprefix --package ,$(CRATES))

install:
	@packaging/install.sh

install-initrd:
	@FILES="$$INITRD_FILES" packaging/install.sh

uninstall:
	@packaging/install.sh --uninstall

install-boot:
	@FILES="$$BOOT_FILES" packaging/install.sh --no-programs

files:
	@printf '%s\n' "$$FILES" | sed 's/^ //; /^$$/d'

files-boot:
	@printf '%s\n' "$$BOOT_FILES"

licences:
	@$(CARGO) tree $(CARGOFLAGS) $(addprefix --package ,$(filter-out finish-program,$(CRATES))) --target $(TARGET) --edges normal,no-proc-macro \
		--prefix none --no-dedupe --format '{l}: {p}' | sed '/^$$/d; s/ (.*//' | sort -u

flags:
	@packaging/build.sh --print-flags

clean:
	$(CARGO) clean --target-dir "$$CARGO_TARGET_DIR"

.PHONY: all check install install-initrd install-boot uninstall files files-boot licences flags clean
