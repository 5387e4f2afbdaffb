//! The kernel command line, and the arguments of an entry.

use ostree_formats::bls::BlsEntry;
use ostree_formats::cmdline::{KernelCommandLine, TargetSource};
use ostree_formats::kargs::KernelArguments;
use ostree_formats::unified_kernel::UnifiedKernel;

use super::is_printable;

/// `/proc/cmdline`: what is asked for stands in it, and what is for init changes nothing.
pub(super) fn command_line(bytes: &[u8]) {
    let line = KernelCommandLine::new(bytes);
    let text = String::from_utf8_lossy(bytes);
    for target in [line.boot_target(), line.ostree_target()] {
        match target {
            Ok(target) => {
                assert!(text.contains(&target.argument), "{target:?}");
                assert!(target.path.starts_with("/ostree/root.") || target.source == TargetSource::Ostree);
                assert!(!target.path.is_empty());
            }
            Err(error) => is_printable(&error, bytes),
        }
    }
    for value in [line.composefs(), line.init(), line.deployment()].into_iter().flatten() {
        assert!(text.contains(&value), "{value:?}");
    }
    assert!(line.unit().is_none_or(|unit| unit.contains('.') && !unit.contains(char::is_whitespace)));
    let quotes = bytes.iter().filter(|byte| **byte == b'"').count();
    if quotes % 2 == 0 {
        let for_init =
            b" -- ostree=/other init=/other firstroot.deployment=other rd.shell systemd.unit=other.target 1 androidboot.slot_suffix=_a ostree.prepare-root.composefs=no";
        let longer = KernelCommandLine::new([bytes, for_init].concat());
        assert_eq!(longer.boot_target(), line.boot_target());
        assert_eq!(
            (longer.init(), longer.composefs(), longer.deployment()),
            (line.init(), line.composefs(), line.deployment())
        );
        assert_eq!(longer.wants_shell(), line.wants_shell());
        assert_eq!(longer.unit(), line.unit());
    }
}

/// `options` of an entry: what is not set stays, and the kernel finds what is.
pub(super) fn arguments(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut arguments = KernelArguments::parse(&text);
    assert_eq!(KernelArguments::parse(&arguments.to_string()), arguments);
    let is_ours = |word: &&String| word.starts_with("ostree=");
    let others =
        |arguments: &KernelArguments| arguments.words().iter().filter(|word| !is_ours(word)).cloned().collect();
    let before: Vec<String> = others(&arguments);
    // What is quoted, and what is for init, is another matter.
    let is_plain = |word: &String| !word.contains(['"', '\0']) && word != "--";
    let is_plain = arguments.words().iter().all(is_plain);

    arguments.set("ostree", "/new");
    assert_eq!((arguments.get("ostree"), others(&arguments)), (Some("/new"), before));
    assert_eq!(arguments.without_ostree().len(), arguments.words().len() - 1);
    let printed = arguments.to_string();
    assert_eq!(KernelArguments::parse(&printed).get("ostree"), Some("/new"), "{printed:?}");
    arguments.remove("ostree");
    assert_eq!(arguments.get("ostree"), None);

    if is_plain {
        let mut entry = BlsEntry::default();
        entry.set("options", &printed);
        let read = BlsEntry::parse(entry.to_text().as_bytes());
        let options = read.map(|entry| entry.all_options()).unwrap_or_default();
        let asked = KernelCommandLine::new(options).ostree_target();
        assert_eq!(asked.map(|target| target.path).as_deref(), Ok("/new"), "{printed:?}");
    }
}

/// The head of a kernel: what has a command line has a kernel and an initramfs by their names.
pub(super) fn unified_kernel(bytes: &[u8]) {
    let has = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    if let Some(unified) = UnifiedKernel::parse(bytes) {
        assert!(has(b".linux") && has(b".initrd") && (has(b".cmdline") || !unified.has_command_line));
    }
}
