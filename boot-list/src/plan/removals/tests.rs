use super::*;
use ostree_formats::bls::BlsEntry;
use ostree_formats::kargs::KernelArguments;
use ostree_sysroot::deployment::{Deployment, Tree};
use ostree_sysroot::grub::NeededByGrub;

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
        bootloader: Bootloader::None,
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

/// What GRUB's menu names stays, and where that is not known, everything.
#[test]
fn what_grub_needs_stays() {
    let (needed, unused) = (format!("os-{}", sum('b')), format!("os-{}", sum('c')));
    let overlay = format!("initramfs-overlays/{}.img", sum('b'));
    let mut found = Leftovers {
        boot_ostree: vec![needed.clone(), unused.clone()],
        overlays: strings(&[&format!("{}.img", sum('b')), &format!("{}.img", sum('c'))]),
        ostree: strings(&["boot.0", "boot.0.1", "boot.1", "boot.1.0", "boot.1.1"]),
        deployments: BTreeSet::from([path('a'), path('b'), path('c')]),
        needed_by_grub: NeededByGrub {
            in_boot_ostree: BTreeSet::from([needed, overlay]),
            bootversions: BTreeSet::from([BootVersion::Zero]),
            deployments: BTreeSet::from([path('b')]),
            unread: None,
        },
        ..Leftovers::default()
    };
    let removed = removals(&found, &current());
    assert_eq!(removed.boot, [format!("ostree/{unused}"), format!("ostree/initramfs-overlays/{}.img", sum('c'))]);
    let gone = path('c').to_string();
    assert_eq!(removed.sysroot, ["ostree/boot.1.0", &gone, &format!("{gone}.origin")]);
    found.needed_by_grub = NeededByGrub { unread: Some("x".to_owned()), ..NeededByGrub::default() };
    assert_eq!(removals(&found, &current()), Removals { boot: vec![], sysroot: strings(&["ostree/boot.1.0"]) });
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
