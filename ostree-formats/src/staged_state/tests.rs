//! Against what `ostree` wrote, damage to it, and what is made up.

use super::*;
use proptest::prelude::*;

/// Written by `ostree admin deploy --stage` 2026.4.
const PLAIN: &str = concat!(
    "74617267657400006e616d650000000064653763373965633332383666636165326131643563366631643937326436353264",
    "6661376539623335613538326539616163626337336633306664323435342e310000730500006f736e616d65000064656269",
    "616e00007307000000000000626f6f746373756d000000000000000065373438393038323536373436356661386561323039",
    "663033373839386265383765396631666338663161613638663135306663396235363933303965373361000073094e62bc00",
    "617b73767d0700006d657267652d6465706c6f796d656e7400000000000000006e616d650000000064653763373965633332",
    "3836666361653261316435633666316439373264363532646661376539623335613538326539616163626337336633306664",
    "323435342e300000730500006f736e616d65000064656269616e00007307000000000000626f6f746373756d000000000000",
    "0000653734383930383235363734363566613865613230396630333738393862653837653966316663386631616136386631",
    "35306663396235363933303965373361000073094e62bc00617b73767d11ce00ae01",
);
/// With `--karg-append`.
const KARGS: &str = concat!(
    "74617267657400006e616d650000000064653763373965633332383666636165326131643563366631643937326436353264",
    "6661376539623335613538326539616163626337336633306664323435342e310000730500006f736e616d65000064656269",
    "616e00007307000000000000626f6f746373756d000000000000000065373438393038323536373436356661386561323039",
    "663033373839386265383765396631666338663161613638663135306663396235363933303965373361000073094e62bc00",
    "617b73767d0700006d657267652d6465706c6f796d656e7400000000000000006e616d650000000064653763373965633332",
    "3836666361653261316435633666316439373264363532646661376539623335613538326539616163626337336633306664",
    "323435342e300000730500006f736e616d65000064656269616e00007307000000000000626f6f746373756d000000000000",
    "0000653734383930383235363734363566613865613230396630333738393862653837653966316663386631616136386631",
    "35306663396235363933303965373361000073094e62bc00617b73767d1100006b61726773000000726f6f743d4c4142454c",
    "3d78007175696574006f73747265653d2f6f73747265652f626f6f742e312f64656269616e2f653734383930383235363734",
    "3635666138656132303966303337383938626538376539663166633866316161363866313530666339623536393330396537",
    "33612f3000613d226220632200666f6f3d626172000d13737b8300617306ce00ae014402",
);
/// With `--overlay-initrd`.
const OVERLAY: &str = concat!(
    "74617267657400006e616d650000000064653763373965633332383666636165326131643563366631643937326436353264",
    "6661376539623335613538326539616163626337336633306664323435342e310000730500006f736e616d65000064656269",
    "616e00007307000000000000626f6f746373756d000000000000000065373438393038323536373436356661386561323039",
    "663033373839386265383765396631666338663161613638663135306663396235363933303965373361000073094e62bc00",
    "617b73767d0700006d657267652d6465706c6f796d656e7400000000000000006e616d650000000064653763373965633332",
    "3836666361653261316435633666316439373264363532646661376539623335613538326539616163626337336633306664",
    "323435342e300000730500006f736e616d65000064656269616e00007307000000000000626f6f746373756d000000000000",
    "0000653734383930383235363734363566613865613230396630333738393862653837653966316663386631616136386631",
    "35306663396235363933303965373361000073094e62bc00617b73767d1100006f7665726c61792d696e6974726473003036",
    "6361656132666639656661323437646438633138303732323461386430366336306235383739663739636437663139626534",
    "613439653132623636313962004100617310ce00ae010602",
);
/// With `--lock-finalization`.
const LOCKED: &str = concat!(
    "74617267657400006e616d650000000064653763373965633332383666636165326131643563366631643937326436353264",
    "6661376539623335613538326539616163626337336633306664323435342e310000730500006f736e616d65000064656269",
    "616e00007307000000000000626f6f746373756d000000000000000065373438393038323536373436356661386561323039",
    "663033373839386265383765396631666338663161613638663135306663396235363933303965373361000073094e62bc00",
    "617b73767d0700006c6f636b6564000001006207000000006d657267652d6465706c6f796d656e7400000000000000006e61",
    "6d65000000006465376337396563333238366663616532613164356336663164393732643635326466613765396233356135",
    "38326539616163626337336633306664323435342e300000730500006f736e616d65000064656269616e0000730700000000",
    "0000626f6f746373756d00000000000000006537343839303832353637343635666138656132303966303337383938626538",
    "3765396631666338663161613638663135306663396235363933303965373361000073094e62bc00617b73767d11ce00dc00",
    "be01",
);
/// With `--no-merge`.
const NO_MERGE: &str = concat!(
    "74617267657400006e616d650000000064653763373965633332383666636165326131643563366631643937326436353264",
    "6661376539623335613538326539616163626337336633306664323435342e310000730500006f736e616d65000064656269",
    "616e00007307000000000000626f6f746373756d000000000000000065373438393038323536373436356661386561323039",
    "663033373839386265383765396631666338663161613638663135306663396235363933303965373361000073094e62bc00",
    "617b73767d07ce",
);

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn dictionary(entries: &[(&str, Value<'_>)]) -> Vec<u8> {
    writer::dictionary(entries.iter().map(|(key, value)| (*key, value.to_bytes())))
}

fn read(hex: &str) -> StagedState {
    StagedState::from_bytes(&bytes(hex)).unwrap()
}

#[test]
fn what_ostree_wrote_is_read() {
    let plain = read(PLAIN);
    assert_eq!(plain.target.deployment.stateroot.as_str(), "debian");
    assert_eq!(plain.target.deployment.id.deployserial, 1);
    assert_eq!(plain.merge_deployment.as_ref().unwrap().id.deployserial, 0);
    assert_eq!((plain.kargs.clone(), plain.locked, plain.overlay_initrds.len()), (None, false, 0));
    let kargs = read(KARGS).kargs.unwrap();
    assert_eq!(kargs.first().unwrap(), "root=LABEL=x");
    assert_eq!(&kargs[3..], ["a=\"b c\"", "foo=bar"]);
    assert_eq!(read(OVERLAY).overlay_initrds.len(), 1);
    assert!(read(LOCKED).locked);
    assert_eq!(read(NO_MERGE).merge_deployment, None);
}

#[test]
fn what_is_cut_off_is_an_error_wherever_it_is_cut() {
    for hex in [PLAIN, KARGS, OVERLAY, LOCKED, NO_MERGE] {
        let whole = bytes(hex);
        for length in 0..whole.len() {
            assert!(StagedState::from_bytes(&whole[..length]).is_err(), "{length} of {}", whole.len());
        }
    }
}

#[test]
fn a_damaged_argument_is_an_error_and_not_an_empty_one() {
    for (argument, byte) in [(&b"root=LABEL"[..], 0), (b"quiet", 0xff)] {
        let mut damaged = bytes(KARGS);
        let at = damaged.windows(argument.len()).position(|window| window == argument).unwrap();
        damaged[at + 2] = byte;
        assert_eq!(StagedState::from_bytes(&damaged), Err(StagedStateError::Damaged("kargs")));
    }
}

#[test]
fn errors_name_the_key() {
    let with = |entries: &[(&str, Value<'_>)]| StagedState::from_bytes(&dictionary(entries)).unwrap_err().to_string();
    assert_eq!(with(&[]), "the key \"target\" is missing");
    assert_eq!(with(&[("target", Value::Bool(true))]), "the value of the key \"target\" is not of type a{sv}");
    let named = |id: &str, stateroot: &str| {
        let target = [("name", Value::Text(id)), ("osname", Value::Text(stateroot)), ("bootcsum", Value::Text("0"))];
        with(&[("target", Value::Dictionary(&target))])
    };
    let sum = "0".repeat(64);
    assert_eq!(
        named("0", "os"),
        "the key \"bootcsum\": \"0\" is not a SHA-256 checksum (64 lower-case hexadecimal digits)"
    );
    let escaping = |id: &str, stateroot: &str| {
        let target = [("name", Value::Text(id)), ("osname", Value::Text(stateroot)), ("bootcsum", Value::Text(&sum))];
        with(&[("target", Value::Dictionary(&target))])
    };
    assert_eq!(escaping(&format!("{sum}.0"), ".."), "the key \"osname\": \"..\" cannot be the name of a stateroot");
    assert!(escaping("../../x", "os").starts_with("the key \"name\": \"../../x\" is not the name of a deployment"));
}

#[test]
fn a_key_of_the_entry_that_would_be_another_line_is_refused() {
    for (key, value, message) in [
        (
            "options\rx",
            "init=/bin/sh",
            r#"the key "bootconfig-extra": "options\rx" cannot be a key of a boot loader entry"#,
        ),
        ("x", "a\noptions b", r#"the key "bootconfig-extra": the value of the key "x" has a line break"#),
    ] {
        let mut state = read(PLAIN);
        state.bootconfig_extra.insert(key.to_owned(), value.to_owned());
        assert_eq!(StagedState::from_bytes(&state.to_bytes()).unwrap_err().to_string(), message);
    }
}

#[test]
fn unknown_keys_are_passed_over() {
    let state = read(NO_MERGE);
    let (id, stateroot) = names(&state.target.deployment);
    let sum = state.target.bootcsum.as_str();
    let target = [("name", Value::Text(&id)), ("osname", Value::Text(stateroot)), ("bootcsum", Value::Text(sum))];
    let words = ["x".to_owned()];
    let entries = [("of-the-future", Value::Words(&words)), ("target", Value::Dictionary(&target))];
    assert_eq!(StagedState::from_bytes(&dictionary(&entries)), Ok(state));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        prop_assert!(StagedState::from_bytes(&bytes).is_err());
    }

    #[test]
    fn no_damage_panics(at in 0..400usize, byte: u8) {
        let mut damaged = bytes(PLAIN);
        damaged[at] = byte;
        let _ = StagedState::from_bytes(&damaged);
    }

    #[test]
    fn what_is_written_is_read(
        sum in "[0-9a-f]{64}", serial: u32, stateroot in "[a-z]{1,20}", merge: bool, locked: bool,
        kargs in proptest::option::of(proptest::collection::vec("[ -~]{0,40}", 0..5)),
        overlays in proptest::collection::vec("[0-9a-f]{64}", 0..3),
        extra in proptest::collection::btree_map("[a-z-]{1,9}", "[ -~]{0,9}", 0..3),
    ) {
        let deployment: DeploymentPath = format!("ostree/deploy/{stateroot}/deploy/{sum}.{serial}").parse().unwrap();
        let state = StagedState {
            target: StagedTarget { deployment: deployment.clone(), bootcsum: sum.parse().unwrap() },
            merge_deployment: merge.then_some(deployment),
            kargs,
            overlay_initrds: overlays.iter().map(|sum| sum.parse().unwrap()).collect(),
            bootconfig_extra: extra,
            locked,
        };
        prop_assert_eq!(StagedState::from_bytes(&state.to_bytes()), Ok(state));
    }
}
