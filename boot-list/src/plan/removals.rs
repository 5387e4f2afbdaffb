//! What nothing leads to any more, and goes: pure.

use std::collections::BTreeSet;

use ostree_formats::bootlink::BootVersion;
use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::Sysroot;
use ostree_sysroot::boot_names::{COPY_OF_OSTREE, NEW_STAMP, is_kernel_directory, is_prepared, overlay_file};
use ostree_sysroot::booted::Identity;
use ostree_sysroot::foreign_file::{ForeignEntry, ForeignFile};
use ostree_sysroot::leftovers::Leftovers;

use super::list::ListedDeployment;

/// What is current after the swap.
#[derive(Debug, Clone)]
pub struct Current {
    /// `boot/loader`.
    pub bootversion: BootVersion,
    /// `ostree/boot.N`.
    pub subbootversion: BootVersion,
    /// The list.
    pub list: Vec<ListedDeployment>,
    /// What boot loader entries of others name in `boot/ostree`: it stays.
    pub named_by_others: NamedInBoot,
    /// Whether the list is known to lack what may be in use: then no deployment and nothing in `boot/ostree` is removed.
    pub is_incomplete: bool,
    /// Device and inode of the deployment that a prepared soft reboot has mounted.
    pub next_root: Option<Identity>,
}

/// What goes, in the order in which it goes: paths relative to the physical root, or to `/boot`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removals {
    /// In `/boot`.
    pub boot: Vec<String>,
    /// On the physical root.
    pub sysroot: Vec<String>,
}

/// What kept entries name in `boot/ostree`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedInBoot {
    /// `STATEROOT-BOOTCSUM`, `initramfs-overlays/CHECKSUM.img`.
    names: BTreeSet<String>,
    /// An entry could not be read: any name can be in it.
    pub is_incomplete: bool,
}

impl Current {
    /// What is current with this list, which is written for a bootversion and subbootversion.
    pub fn new(
        sysroot: &Sysroot,
        bootversion: BootVersion,
        subbootversion: BootVersion,
        list: Vec<ListedDeployment>,
    ) -> Self {
        let is_listed = |path: &DeploymentPath| list.iter().any(|listed| listed.deployment.path == *path);
        Self {
            bootversion,
            subbootversion,
            named_by_others: NamedInBoot::by(&sysroot.foreign, is_listed),
            list,
            is_incomplete: sysroot.is_incomplete,
            next_root: sysroot.next_root,
        }
    }

    /// What is current with another list of the bootversion that counts.
    pub fn with(sysroot: &Sysroot, list: Vec<ListedDeployment>) -> Self {
        Self::new(sysroot, sysroot.bootversion, sysroot.subbootversion, list)
    }
}

impl NamedInBoot {
    /// Of the entries that stay when `is_listed` says which deployments do.
    pub fn by(foreign: &[ForeignFile], is_listed: impl Fn(&DeploymentPath) -> bool) -> Self {
        let entries = foreign.iter().filter_map(|foreign| foreign.entry.as_ref());
        let stays = |entry: &&ForeignEntry| entry.leads_to.as_ref().is_none_or(|(_, deployment)| is_listed(deployment));
        let mut named = Self::default();
        for entry in entries.filter(stays) {
            named.is_incomplete |= entry.is_unread;
            named.names.extend(entry.names.iter().cloned());
        }
        named
    }

    /// Whether a kept entry names this path in `boot/ostree`, or may.
    pub fn has(&self, path: &str) -> bool {
        self.is_incomplete || self.names.contains(path)
    }
}

/// Decides what goes.
pub fn removals(found: &Leftovers, current: &Current) -> Removals {
    let listed: BTreeSet<&DeploymentPath> = current.list.iter().map(|listed| &listed.deployment.path).collect();
    let kernels: BTreeSet<String> = current.list.iter().map(ListedDeployment::kernel_directory).collect();
    let overlays: BTreeSet<String> =
        current.list.iter().flat_map(|listed| &listed.deployment.overlay_initrds).map(overlay_file).collect();
    let (n, s) = (current.bootversion, current.subbootversion);
    let other = n.other();

    let mut removals = Removals::default();
    let old_loader = ["loader.tmp".to_owned(), format!("loader.{other}"), COPY_OF_OSTREE.to_owned()];
    removals.boot.extend(found.boot.iter().filter(|name| old_loader.contains(name)).cloned());
    let may_be_used = |path: &str| current.is_incomplete || current.named_by_others.has(path);
    let unused = |name: &&String| {
        let interrupted = name.strip_suffix(".new").is_some_and(is_kernel_directory);
        is_prepared(name)
            || interrupted
            || *name == NEW_STAMP
            || (is_kernel_directory(name) && !kernels.contains(*name) && !may_be_used(name))
    };
    removals.boot.extend(found.boot_ostree.iter().filter(unused).map(|name| format!("ostree/{name}")));
    let overlay = |name: &String| format!("initramfs-overlays/{name}");
    let unused = |name: &&String| {
        let interrupted = name.starts_with('.') && name.ends_with(".img.new");
        let used = || overlays.contains(&overlay(name)) || may_be_used(&overlay(name));
        interrupted || (name.ends_with(".img") && !used())
    };
    removals.boot.extend(found.overlays.iter().filter(unused).map(|name| format!("ostree/{}", overlay(name))));

    let old_links = [
        format!("boot.{n}.tmp"),
        format!("boot.{other}.tmp"),
        format!("boot.{other}"),
        format!("boot.{n}.{}", s.other()),
        format!("boot.{other}.0"),
        format!("boot.{other}.1"),
    ];
    removals
        .sysroot
        .extend(found.ostree.iter().filter(|name| old_links.contains(name)).map(|name| format!("ostree/{name}")));
    removals.sysroot.extend(found.current.iter().cloned());
    let goes = |path: &&DeploymentPath| !current.is_incomplete && !listed.contains(path);
    for path in found.deployments.iter().filter(goes) {
        // The origin goes last: with it a deployment that could not be removed whole is still known as one.
        removals.sysroot.extend([path.to_string(), path.origin_file()]);
    }
    let unused = found.backing.iter().filter(goes);
    removals.sysroot.extend(unused.map(|path| format!("ostree/deploy/{}/backing/{}", path.stateroot, path.id)));
    removals
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostree_formats::bls::BlsEntry;
    use ostree_formats::kargs::KernelArguments;
    use ostree_sysroot::deployment::{Deployment, Tree};

    fn sum(digit: char) -> String {
        digit.to_string().repeat(64)
    }

    fn path(digit: char) -> DeploymentPath {
        format!("ostree/deploy/os/deploy/{}.0", sum(digit)).parse().unwrap()
    }

    /// A list of the one deployment `a`, with the kernel `a` and the overlay initrd `a`; bootversion 1, subbootversion 1.
    fn current() -> Current {
        let deployment = Deployment {
            path: path('a'),
            bootcsum: sum('a').parse().unwrap(),
            entry: BlsEntry::default(),
            entry_name: None,
            kargs: KernelArguments::parse(""),
            overlay_initrds: vec![sum('a').parse().unwrap()],
            pinned: false,
            version: None,
            tree: Tree::NotRead,
        };
        Current {
            bootversion: BootVersion::One,
            subbootversion: BootVersion::One,
            list: vec![ListedDeployment { deployment, bootserial: 0 }],
            named_by_others: NamedInBoot::default(),
            is_incomplete: false,
            next_root: None,
        }
    }

    /// What goes of these names in `/boot`.
    fn of_boot(names: &[&str], current: &Current) -> Vec<String> {
        removals(&Leftovers { boot: strings(names), ..Leftovers::default() }, current).boot
    }

    /// What goes of these names in `/boot/ostree`.
    fn of_boot_ostree(names: &[&str], current: &Current) -> Vec<String> {
        removals(&Leftovers { boot_ostree: strings(names), ..Leftovers::default() }, current).boot
    }

    fn of_overlays(names: &[&str], current: &Current) -> Vec<String> {
        removals(&Leftovers { overlays: strings(names), ..Leftovers::default() }, current).boot
    }

    fn of_ostree(names: &[&str], current: &Current) -> Vec<String> {
        removals(&Leftovers { ostree: strings(names), ..Leftovers::default() }, current).sysroot
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn entries_of_the_other_bootversion_go() {
        let names = ["loader", "loader.0", "loader.1", "loader.2", "boot", "efi"];
        assert_eq!(of_boot(&names, &current()), ["loader.0"]);
        let other = Current { bootversion: BootVersion::Zero, ..current() };
        assert_eq!(of_boot(&names, &other), ["loader.1"]);
    }

    #[test]
    fn a_link_that_was_prepared_goes() {
        assert_eq!(of_boot(&["loader.tmp", "loader.tmp2"], &current()), ["loader.tmp"]);
    }

    #[test]
    fn a_copy_of_the_directory_of_kernels_goes() {
        assert_eq!(of_boot(&["ostree", "ostree.new"], &current()), ["ostree.new"]);
    }

    #[test]
    fn kernels_that_no_deployment_of_the_list_has_go() {
        let (used, unused) = (format!("os-{}", sum('a')), format!("os-{}", sum('b')));
        let other_stateroot = format!("other-{}", sum('a'));
        let found = of_boot_ostree(&[&used, &unused, &other_stateroot, "mine", "os-abc"], &current());
        assert_eq!(found, [format!("ostree/{unused}"), format!("ostree/{other_stateroot}")]);
    }

    #[test]
    fn kernels_that_entries_of_others_name_stay() {
        let unused = format!("os-{}", sum('b'));
        let entry = ForeignEntry::of(format!("linux /ostree/{unused}/vmlinuz").into_bytes());
        let foreign = ForeignFile {
            path: ostree_sysroot::foreign_file::LoaderPath::entry(b"x.conf".to_vec()),
            kind: system::dir::Kind::File,
            entry: Some(entry),
        };
        let current = Current { named_by_others: NamedInBoot::by(&[foreign], |_| true), ..current() };
        assert_eq!(of_boot_ostree(&[&unused], &current), [""; 0]);
    }

    #[test]
    fn no_kernel_and_no_deployment_goes_while_the_list_may_lack_one() {
        let incomplete = Current { is_incomplete: true, ..current() };
        assert_eq!(of_boot_ostree(&[&format!("os-{}", sum('b'))], &incomplete), [""; 0]);
        assert_eq!(of_overlays(&[&format!("{}.img", sum('b'))], &incomplete), [""; 0]);
        let (deployments, backing) = (BTreeSet::from([path('b')]), BTreeSet::from([path('b')]));
        let found = Leftovers { deployments, backing, ..Leftovers::default() };
        assert_eq!(removals(&found, &incomplete), Removals::default());
    }

    #[test]
    fn what_was_prepared_or_begun_goes_whoever_has_the_kernel() {
        let names = ["a", "b"].map(|digit| format!("os-{}", digit.repeat(64)));
        for suffix in [".prepared", ".prepared.new", ".new"] {
            let names = names.clone().map(|name| name + suffix);
            let wanted = names.clone().map(|name| format!("ostree/{name}"));
            assert_eq!(of_boot_ostree(&[&names[0], &names[1], &format!("mine{suffix}")], &current()), wanted);
        }
    }

    #[test]
    fn a_stamp_that_is_not_whole_goes_and_one_that_is_stays() {
        let names = [".finalize-failure.stamp.new", "finalize-failure.stamp"];
        assert_eq!(of_boot_ostree(&names, &current()), ["ostree/.finalize-failure.stamp.new"]);
    }

    #[test]
    fn overlay_initrds_that_no_deployment_of_the_list_has_go() {
        let (used, unused) = (format!("{}.img", sum('a')), format!("{}.img", sum('b')));
        let found = of_overlays(&[&used, &unused, "readme"], &current());
        assert_eq!(found, [format!("ostree/initramfs-overlays/{unused}")]);
    }

    #[test]
    fn an_overlay_initrd_that_is_not_whole_goes() {
        let begun = format!(".{}.img.new", sum('a'));
        assert_eq!(of_overlays(&[&begun, ".x"], &current()), [format!("ostree/initramfs-overlays/{begun}")]);
    }

    #[test]
    fn boot_links_of_the_other_versions_go() {
        let names = ["boot.0", "boot.0.0", "boot.0.1", "boot.1", "boot.1.0", "boot.1.1", "boot.2", "deploy", "repo"];
        let wanted = ["boot.0", "boot.0.0", "boot.0.1", "boot.1.0"].map(|name| format!("ostree/{name}"));
        assert_eq!(of_ostree(&names, &current()), wanted);
    }

    #[test]
    fn boot_links_that_were_prepared_go() {
        let wanted = ["boot.0.tmp", "boot.1.tmp"].map(|name| format!("ostree/{name}"));
        assert_eq!(of_ostree(&["boot.0.tmp", "boot.1.tmp", "boot.2.tmp"], &current()), wanted);
    }

    #[test]
    fn links_of_a_libostree_before_2014_go() {
        let found = Leftovers { current: vec!["ostree/deploy/os/current".to_owned()], ..Leftovers::default() };
        assert_eq!(removals(&found, &current()).sysroot, ["ostree/deploy/os/current"]);
    }

    #[test]
    fn deployments_that_are_not_in_the_list_go_and_their_origin_last() {
        let found = Leftovers { deployments: BTreeSet::from([path('a'), path('b')]), ..Leftovers::default() };
        let deployment = path('b').to_string();
        assert_eq!(removals(&found, &current()).sysroot, [deployment.clone(), format!("{deployment}.origin")]);
    }

    #[test]
    fn backing_directories_of_deployments_that_are_not_in_the_list_go() {
        let found = Leftovers { backing: BTreeSet::from([path('a'), path('b')]), ..Leftovers::default() };
        assert_eq!(removals(&found, &current()).sysroot, [format!("ostree/deploy/os/backing/{}.0", sum('b'))]);
    }
}
