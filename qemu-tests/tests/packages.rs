//! The packages of this project in the Debian releases that boot: installed beside libostree's, upgraded, removed, interrupted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use qemu_tests::cache::Cache;
use qemu_tests::guest::Guest;
use qemu_tests::host;
use qemu_tests::namespace::{Namespace, quoted};
use qemu_tests::package::built_packages;
use qemu_tests::rootfs::{Rootfs, why_not_installable};
use qemu_tests::stopwatch::{print_longest, timed};

/// What a test does with one guest.
type Story = fn(Guest) -> Result<()>;

const STORIES: &[(&str, Story)] = &[
    ("a_deb_is_installed_upgraded_and_leaves_nothing_behind", a_deb_comes_and_goes),
    ("a_deb_that_is_interrupted_is_brought_right", an_interrupted_deb_is_brought_right),
    ("firstroot_boot_takes_the_place_of_ostree_boot", firstroot_boot_takes_a_place),
    ("its_autopkgtests_succeed", autopkgtests_succeed),
    ("an_rpm_is_installed_verified_and_erased", an_rpm_comes_and_goes),
];

fn main() -> ExitCode {
    let wanted = std::env::var_os("FIRSTROOT_MACHINES").is_some();
    let arguments = Arguments::from_args();
    if wanted
        && !arguments.list
        && let Err(error) = host::ensure_ready()
    {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    let mut trials = Vec::new();
    for guest in Guest::booted() {
        let why_not = if wanted {
            why_not_installable(guest).unwrap_or_default()
        } else {
            "needs root and guests: cargo xtask test".to_owned()
        };
        for (name, story) in STORIES {
            let full = format!("{guest}::{name}");
            let timed_name = full.clone();
            let run = move || timed(&timed_name, || story(guest)).map_err(|error| Failed::from(format!("{error:#}")));
            trials.push(Trial::test(full, run).with_kind(&why_not).with_ignored_flag(!why_not.is_empty()));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    print_longest();
    conclusion.exit_code()
}

/// Shell functions.
const FUNCTIONS: &str = r#"
deb=$(echo /packages/firstroot_*.deb) boot_deb=$(echo /packages/firstroot-boot_*.deb)
# That the trigger is processed is enough: what dracut makes is looked at elsewhere.
printf '#!/bin/sh\n' >/run/no-dracut; chmod +x /run/no-dracut; mount --bind /run/no-dracut "$(command -v dracut)"
says() { "$@" >/run/said 2>&1 || { cat /run/said; exit 1; }; cat /run/said; }
makes_an_initramfs() { grep --quiet '^Processing triggers for dracut' /run/said; }
paths() { find / -xdev \( -path /var -o -path /run -o -path /packages -o -path /archives -o -path /tmp -o -path /boot -o -path /etc/ld.so.cache \) -prune -o -print | sort; }
paths >/run/before
sha256sum /usr/lib/ostree/ostree-prepare-root >/run/peer
is_as_before() { paths >/run/after; diff /run/before /run/after; sha256sum --quiet --check /run/peer; }
works() {
    /usr/lib/firstroot/ostree-prepare-root --version | grep firstroot
    cat /usr/lib/systemd/system/ostree-finalize-staged.service /usr/lib/systemd/system/ostree-finalize-staged.service.d/*.conf \
        | grep '^ExecStop=.*/usr/lib/firstroot/ostree-finalize-staged'
}
"#;

fn guest_with_packages(guest: Guest) -> Result<(Namespace, PathBuf)> {
    let cache = Cache::open()?;
    let rootfs = Rootfs::of(guest, &cache)?;
    let packages = built_packages()?;
    let directory = packages.first().and_then(|path| path.parent()).context("no package was built")?;
    let archives = cache.directory(&format!("downloads-{}", guest.suite()))?;
    let namespace = Namespace::of(&rootfs.path()).bound(directory, "/packages").bound(&archives, "/archives");
    Ok((namespace, directory.to_path_buf()))
}

fn in_guest(guest: Guest, script: &str) -> Result<String> {
    let (namespace, _) = guest_with_packages(guest)?;
    namespace.run(&format!("exec 2>&1\n{FUNCTIONS}{script}\necho the end"))
}

fn ends(output: &str) -> Result<()> {
    ensure!(output.ends_with("the end\n"), "{output}");
    Ok(())
}

fn a_deb_comes_and_goes(guest: Guest) -> Result<()> {
    let script = r#"
says apt-get install --yes --no-install-recommends "$deb"
works
makes_an_initramfs
# The same version again, and one that is newer.
says dpkg --install "$deb"
dpkg-deb --raw-extract "$deb" /run/newer
sed -i 's/^Version: .*/Version: 9:9/' /run/newer/DEBIAN/control
dpkg-deb --root-owner-group --build /run/newer /run/newer.deb
says dpkg --install /run/newer.deb
works
makes_an_initramfs
# libostree's package comes over it.
says dpkg --install /archives/ostree-boot_*.deb
works
# Gone, and the initramfs is made anew without it.
says dpkg --remove firstroot
makes_an_initramfs
is_as_before
# Not even a configuration file is left for a purge to find.
if dpkg --status firstroot; then exit 1; fi
"#;
    ends(&in_guest(guest, script)?)
}

/// There are no maintainer scripts that could be interrupted: dpkg is killed while it unpacks.
fn an_interrupted_deb_is_brought_right(guest: Guest) -> Result<()> {
    let script = r#"
if dpkg-deb --info "$deb" | grep -E 'p(re|ost)(inst|rm)'; then exit 1; fi
dpkg --unpack "$deb"
dpkg --status firstroot | grep unpacked
says dpkg --configure --pending
makes_an_initramfs
works
# In the middle of unpacking: a file is there already as dpkg writes it beside its place.
mkdir /run/data; cp /usr/lib/firstroot/ostree-finalize-staged /run/data/
head -c 1000 /run/data/ostree-finalize-staged >/usr/lib/firstroot/ostree-finalize-staged.dpkg-new
sed -i '/^Package: firstroot$/,/^$/s/^Status: .*/Status: install reinstreq half-installed/' /var/lib/dpkg/status
dpkg --install "$deb"
works
cmp /run/data/ostree-finalize-staged /usr/lib/firstroot/ostree-finalize-staged
# Removal is interrupted before the trigger has run.
dpkg --no-triggers --remove firstroot
says dpkg --configure --pending
makes_an_initramfs
is_as_before
"#;
    ends(&in_guest(guest, script)?)
}

fn firstroot_boot_takes_a_place(guest: Guest) -> Result<()> {
    let script = r#"
apt-get install --yes --no-install-recommends "$deb" "$boot_deb"
if dpkg --status ostree-boot 2>/dev/null | grep 'ok installed'; then exit 1; fi
dpkg --status firstroot-boot | grep 'ok installed'
works
for unit in ostree-finalize-staged ostree-finalize-staged-hold ostree-boot-complete ostree-remount ostree-state-overlay@; do
    systemd-analyze --root=/ --man=no verify "/usr/lib/systemd/system/${unit%@}${unit##*[!@]}.service" 2>/run/said || { cat /run/said; exit 1; }
done
dpkg --verify firstroot firstroot-boot >/run/verified || true
# Manual pages are left out of guests.
if grep -v -e /usr/share/doc/ -e /usr/share/man/ /run/verified; then exit 1; fi
apt-get check
"#;
    ends(&in_guest(guest, script)?)
}

/// The tests of `debian/tests` as autopkgtest runs them: all binary packages in place of `@`, any output to standard error a failure. Those
/// that compile the source are what this repository's own tests are.
fn autopkgtests_succeed(guest: Guest) -> Result<()> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../debian/tests");
    let control = fs::read_to_string(tests.join("control")).context("reading debian/tests/control")?;
    let (namespace, _) = guest_with_packages(guest)?;
    let namespace = namespace.bound(&tests, "/source/debian/tests");
    let mut run = Vec::new();
    for stanza in control.split("\n\n") {
        let field = |name: &str| stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let depends: Vec<&str> = field("Depends").context("no Depends")?.split(", ").collect();
        if depends.contains(&"@builddeps@") {
            continue;
        }
        let restrictions = field("Restrictions").unwrap_or_default();
        let packages: Vec<&str> =
            depends.iter().map(|name| if *name == "@" { "\"$deb\" \"$boot_deb\"" } else { name }).collect();
        for name in field("Tests").context("a command that needs no source")?.split([' ', ',']) {
            let script = format!(
                "exec 3>&1; {FUNCTIONS}
                says apt-get install --yes --no-install-recommends {} >/run/installed
                mkdir /tmp/autopkgtest; cd /source
                AUTOPKGTEST_TMP=/tmp/autopkgtest debian/tests/{name} 2>/run/stderr || {{ echo \"ended with $?\"; cat /run/stderr; }}
                {} || cat /run/stderr
                echo the end",
                packages.join(" "),
                if restrictions.contains("allow-stderr") { "true" } else { "test ! -s /run/stderr" }
            );
            let output = namespace.run(&script)?;
            let versions = output.lines().filter(|line| line.contains("(firstroot) ")).count();
            ensure!(output.lines().count() == versions + 1, "{name}: {output}");
            ends(&output)?;
            run.push((name.to_owned(), versions));
        }
    }
    ensure!(run == [("installed-programs".to_owned(), 3)], "{run:?}");
    Ok(())
}

/// By the host's rpm: the guests have none. It knows nothing of what dpkg has installed.
fn an_rpm_comes_and_goes(guest: Guest) -> Result<()> {
    let (namespace, packages) = guest_with_packages(guest)?;
    let script = format!(
        r#"
package=$(echo {}/firstroot-[0-9]*.rpm)
in_root() {{ rpm --root "$root" --define '_dbpath /var/lib/rpm' "$@"; }}
# Directories that Fedora's own packages have are not removed.
paths() {{ find "$root/usr" "$root/etc" \( ! -type d -o -path '*firstroot*' -o -path '*49ostree' -o -name '*.service.d' \) | sort; }}
works() {{ chroot "$root" /usr/lib/firstroot/ostree-prepare-root --version | grep firstroot; }}
mkdir -p "$root/var/lib/rpm"
in_root --initdb
paths >"$scratch/before"
in_root --install --nodeps "$package"
works
# Manual pages are there. A file that is not as it was packaged is an error.
in_root --verify --nodeps firstroot
in_root --upgrade --force --nodeps "$package"
works
in_root --erase firstroot
if in_root --query firstroot; then exit 1; fi
paths >"$scratch/after"
diff "$scratch/before" "$scratch/after"
"#,
        quoted(&packages)
    );
    ends(&namespace.prepared_by(&script).run("echo the end")?)
}
