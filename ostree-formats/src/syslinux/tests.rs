use super::*;
use proptest::prelude::*;

fn entry(text: &str) -> BlsEntry {
    BlsEntry::parse(text.as_bytes()).unwrap()
}

fn two() -> [BlsEntry; 2] {
    [
        entry(
            "title OS 2 (ostree:0)\nversion 2\noptions root=x ostree=/b\nlinux /ostree/os-b/k\ninitrd /ostree/os-b/i\n",
        ),
        entry("title OS 1 (ostree:1)\nversion 1\noptions ro\nlinux /ostree/os-a/k\ndevicetree /ostree/os-a/d\n"),
    ]
}

fn written(old: &str) -> String {
    String::from_utf8(with_entries(old.as_bytes(), &two(), "/boot")).unwrap()
}

const LABELS: &str = "LABEL ostree:0
\tMENU LABEL OS 2 (ostree:0)
\tKERNEL /boot/ostree/os-b/k
\tINITRD /boot/ostree/os-b/i
\tAPPEND root=x ostree=/b
LABEL ostree:1
\tMENU LABEL OS 1 (ostree:1)
\tKERNEL /boot/ostree/os-a/k
\tDEVICETREE /boot/ostree/os-a/d
\tAPPEND ro
";

const OTHERS: &str = "LABEL Other\n\tKERNEL /other/vmlinuz\n\tAPPEND root=/dev/sda9\n";

#[test]
fn it_is_what_libostree_writes_but_for_the_names_of_labels() {
    // The order, the empty lines and the place of the new default were seen with libostree 2026.4.
    let old = format!(
        "DEFAULT OS 1 (ostree:0)\nTIMEOUT 20\nPROMPT 1\n\n{OTHERS}\nLABEL OS 1 (ostree:0)\n\tKERNEL /ostree/os-a/k\nLABEL Last\n\tKERNEL /mem\n  # trailing\n\n"
    );
    let new =
        format!("TIMEOUT 20\nPROMPT 1\n\n{OTHERS}LABEL Last\n\tKERNEL /mem\n  # trailing\nDEFAULT ostree:0\n{LABELS}");
    assert_eq!(written(&old), new);
    assert_eq!(written(&new), new);
    assert_eq!(written("DEFAULT \n"), written(""));
    // As libostree leaves it.
    let titles = new.replace("ostree:0\n\tMENU LABEL ", "").replace("ostree:1\n\tMENU LABEL ", "");
    assert_eq!(written(&titles.replace("DEFAULT ostree:0", "DEFAULT OS 2 (ostree:0)")), new);
    assert_eq!(written(""), format!("DEFAULT ostree:0\n{LABELS}"));
    assert_eq!(written("\nTIMEOUT 5"), format!("TIMEOUT 5\nDEFAULT ostree:0\n{LABELS}"));
}

#[test]
fn the_default_of_another_system_stays() {
    for default in ["DEFAULT Other", "default Other", " DEFAULT\tmenu.c32"] {
        let old = format!("{default}\n{OTHERS}");
        let new = format!("{default}\n{OTHERS}\n{LABELS}");
        assert_eq!(written(&old), new);
        assert_eq!(written(&new), format!("{default}\n{OTHERS}\n{LABELS}"));
    }
    // The last one counts, and one that names what goes is this system's.
    let last = format!("DEFAULT x (ostree:0)\nDEFAULT Other\n{OTHERS}");
    assert_eq!(written(&last), format!("DEFAULT Other\n{OTHERS}\n{LABELS}"));
    let gone = "default Other\nDEFAULT mine\nLABEL mine\n\tKERNEL /boot/ostree/x/k";
    assert_eq!(written(gone), format!("default Other\nDEFAULT ostree:0\n{LABELS}"));
}

#[test]
fn what_is_no_label_of_this_system_stays_as_it_is() {
    for odd in [
        "LABEL no kernel\n\tAPPEND x",
        "LABEL spaces\n  KERNEL /ostree/os-a/k",
        "label small\n\tkernel /ostree/os-a/k",
        "LABEL cr\r\n\tKERNEL /x\r",
        "INCLUDE more.cfg",
        "LABEL cut\n\tKERNEL /ostr",
    ] {
        let new = written(&format!("DEFAULT x (ostree:1)\nTIMEOUT 1\n{odd}"));
        assert_eq!(new, format!("TIMEOUT 1\n{odd}\nDEFAULT ostree:0\n{LABELS}"));
    }
    let latin = b"LABEL caf\xe9\n\tKERNEL /x\n";
    assert!(with_entries(latin, &two(), "").starts_with(latin));
}

#[test]
fn all_initrds_are_given_and_no_value_leaves_its_line() {
    let mut odd = entry("linux /k\ninitrd /i\ninitrd /overlay.img\n");
    odd.push("title", "T\nDEFAULT evil");
    odd.push("options", "a\r\tKERNEL /evil");
    assert_eq!(
        String::from_utf8(with_entries(b"", &[entry("title no kernel"), odd, entry("linux /l")], "/boot")).unwrap(),
        "DEFAULT ostree:0\nLABEL ostree:0\n\tMENU LABEL T DEFAULT evil\n\tKERNEL /boot/k\n\tINITRD /boot/i,/boot/overlay.img\n\tAPPEND a \tKERNEL /evil\n\
         LABEL ostree:1\n\tMENU LABEL (Untitled)\n\tKERNEL /boot/l\n"
    );
}

proptest! {
    #[test]
    fn written_again_it_is_the_same(old in "(DEFAULT |LABEL |\tKERNEL |/ostree/|[a-c(\n\r\t ]){0,30}") {
        let again = |text: Vec<u8>| with_entries(&text, &two(), "/boot");
        // The end of the file is an empty line, which stays before the labels.
        let new = again(again(again(old.into_bytes())));
        prop_assert_eq!(again(new.clone()), new);
    }

    #[test]
    fn no_bytes_panic(old: Vec<u8>) {
        let _ = with_entries(&old, &two(), "/boot");
    }
}
