//! `/run/ostree/staged-deployment`: what waits for shutdown. A GVariant `a{sv}`, written by `ostree`, `rpm-ostree` and `bootc`.

use std::collections::BTreeMap;
use std::io::Write;

use gvariant::aligned_bytes::copy_to_align;
use gvariant::{Marker, SerializeTo, Structure, Variant, VariantWrap, gv};

use crate::bootlink::Bootcsum;
use crate::deployment::{Checksum, DeploymentPath, NameError};

/// The deployment that is to become bootable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedTarget {
    /// Where it has been checked out.
    pub deployment: DeploymentPath,
    /// Of its kernel.
    pub bootcsum: Bootcsum,
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedState {
    /// What was staged.
    pub target: StagedTarget,
    /// Whose changes of `/etc` are carried over; `None`: nobody's.
    pub merge_deployment: Option<DeploymentPath>,
    /// Kernel arguments; `None`: those of the merge deployment.
    pub kargs: Option<Vec<String>>,
    /// Initramfs to be loaded after the tree's own, in this order.
    pub overlay_initrds: Vec<Checksum>,
    /// Further keys of the boot loader entry.
    pub bootconfig_extra: BTreeMap<String, String>,
    /// Not to be finalized yet.
    pub locked: bool,
}

/// Why bytes are no staged deployment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StagedStateError {
    /// Cut off, or of another type.
    #[error("it is cut off, or no GVariant of type a{{sv}}")]
    NotADictionary,
    /// A key that must be there.
    #[error("the key {0:?} is missing")]
    Missing(&'static str),
    /// A key with a value of another type.
    #[error("the value of the key {key:?} is not of type {wanted}")]
    Type {
        /// Which.
        key: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// A value that is not in GVariant's normal form, and would read as something else than was written.
    #[error("the value of the key {0:?} is damaged")]
    Damaged(&'static str),
    /// A name that cannot be one.
    #[error("the key {key:?}: {reason}")]
    Name {
        /// Where.
        key: &'static str,
        /// Why.
        reason: String,
    },
}

/// The entries of an `a{sv}`, whose type only its macro can name.
macro_rules! entries {
    ($dictionary:expr) => {
        $dictionary
            .iter()
            .map(|entry| {
                let (key, value) = entry.to_tuple();
                (key.to_str(), value)
            })
            .collect()
    };
}

/// A dictionary within the file, as values.
struct Dictionary<'a> {
    entries: Vec<(&'a str, &'a Variant)>,
}

impl<'a> Dictionary<'a> {
    /// The one that is the value of a key.
    fn nested(&self, key: &'static str) -> Result<Option<Self>, StagedStateError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let dictionary = value.get(gv!("a{sv}")).ok_or(StagedStateError::Type { key, wanted: "a{sv}" })?;
        let entries: Vec<_> = entries!(dictionary);
        undamaged(key, value, &gv!("a{sv}").serialize_to_vec(&entries))?;
        Ok(Some(Self { entries }))
    }

    fn get(&self, key: &str) -> Option<&'a Variant> {
        self.entries.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }

    fn text(&self, key: &'static str) -> Result<&'a str, StagedStateError> {
        let value = self.get(key).ok_or(StagedStateError::Missing(key))?;
        let text = value.get(gv!("s")).ok_or(StagedStateError::Type { key, wanted: "s" })?.to_str();
        undamaged(key, value, &gv!("s").serialize_to_vec(text))?;
        Ok(text)
    }

    fn deployment(&self) -> Result<DeploymentPath, StagedStateError> {
        Ok(DeploymentPath {
            stateroot: self.text("osname")?.parse().map_err(|reason| named("osname", reason))?,
            id: self.text("name")?.parse().map_err(|reason| named("name", reason))?,
        })
    }
}

impl StagedState {
    /// Reads the bytes of the file. Keys that are not known are passed over.
    ///
    /// # Errors
    /// See [`StagedStateError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StagedStateError> {
        let aligned = copy_to_align(bytes);
        let whole = gv!("a{sv}").cast(aligned.as_ref());
        let whole = Dictionary { entries: entries!(whole) };
        // GVariant gives default values for what is damaged. A dictionary that is not what would be written for its own
        // entries is damaged.
        if gv!("a{sv}").serialize_to_vec(&whole.entries) != bytes {
            return Err(StagedStateError::NotADictionary);
        }
        let target = whole.nested("target")?.ok_or(StagedStateError::Missing("target"))?;
        let bootcsum = target.text("bootcsum")?.parse();
        let bootcsum = bootcsum.map_err(|reason: NameError| named("bootcsum", reason))?;
        let merge = whole.nested("merge-deployment")?.map(|merge| merge.deployment());
        let list = |key: &'static str| -> Result<Option<Vec<String>>, StagedStateError> {
            let Some(value) = whole.get(key) else { return Ok(None) };
            let words = value.get(gv!("as")).ok_or(StagedStateError::Type { key, wanted: "as" })?;
            let words: Vec<String> = words.iter().map(|word| word.to_str().to_owned()).collect();
            undamaged(key, value, &gv!("as").serialize_to_vec(&words))?;
            Ok(Some(words))
        };
        let checksum = |text: &String| text.parse().map_err(|reason| named("overlay-initrds", reason));
        let extra = match whole.get("bootconfig-extra") {
            Some(value) => {
                let wrong = StagedStateError::Type { key: "bootconfig-extra", wanted: "a{ss}" };
                let pairs = value.get(gv!("a{ss}")).ok_or(wrong)?;
                let pair = pairs.iter().map(|pair| pair.to_tuple());
                let pairs: Vec<_> = pair.map(|(key, value)| (key.to_str(), value.to_str())).collect();
                undamaged("bootconfig-extra", value, &gv!("a{ss}").serialize_to_vec(&pairs))?;
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
            }
            None => BTreeMap::new(),
        };
        let locked = match whole.get("locked") {
            Some(value) => {
                let wrong = StagedStateError::Type { key: "locked", wanted: "b" };
                let locked = value.get(gv!("b")).ok_or(wrong)?.to_bool();
                undamaged("locked", value, &gv!("b").serialize_to_vec(&locked))?;
                locked
            }
            None => false,
        };
        Ok(Self {
            target: StagedTarget { deployment: target.deployment()?, bootcsum },
            merge_deployment: merge.transpose()?,
            kargs: list("kargs")?,
            overlay_initrds: list("overlay-initrds")?
                .unwrap_or_default()
                .iter()
                .map(checksum)
                .collect::<Result<_, _>>()?,
            bootconfig_extra: extra,
            locked,
        })
    }

    /// The bytes, as `ostree` writes them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (id, stateroot) = names(&self.target.deployment);
        let target = [
            ("name", Value::Text(&id)),
            ("osname", Value::Text(stateroot)),
            ("bootcsum", Value::Text(self.target.bootcsum.as_str())),
        ];
        let mut entries = vec![("target", Value::Dictionary(&target))];
        if self.locked {
            entries.push(("locked", Value::Bool(true)));
        }
        let merge = self.merge_deployment.as_ref().map(names);
        let merge =
            merge.as_ref().map(|(id, stateroot)| [("name", Value::Text(id)), ("osname", Value::Text(stateroot))]);
        entries.extend(merge.as_ref().map(|merge| ("merge-deployment", Value::Dictionary(merge))));
        entries.extend(self.kargs.as_ref().map(|kargs| ("kargs", Value::Words(kargs))));
        let overlays: Vec<String> = self.overlay_initrds.iter().map(ToString::to_string).collect();
        if !overlays.is_empty() {
            entries.push(("overlay-initrds", Value::Words(&overlays)));
        }
        let extra: Vec<_> = self.bootconfig_extra.iter().collect();
        if !extra.is_empty() {
            entries.push(("bootconfig-extra", Value::Pairs(&extra)));
        }
        gv!("a{sv}").serialize_to_vec(&entries)
    }
}

/// GVariant reads what is damaged as default values, in each value anew: an argument with a NUL in it as an empty one. What
/// would not be written as it was found is damaged.
fn undamaged(key: &'static str, value: &Variant, written: &[u8]) -> Result<(), StagedStateError> {
    let found: &[u8] = value.split().1;
    if found == written { Ok(()) } else { Err(StagedStateError::Damaged(key)) }
}

/// What a dictionary names a deployment by.
fn names(path: &DeploymentPath) -> (String, &str) {
    (path.id.to_string(), path.stateroot.as_str())
}

fn named(key: &'static str, reason: NameError) -> StagedStateError {
    StagedStateError::Name { key, reason: reason.to_string() }
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Bool(bool),
    Text(&'a str),
    Words(&'a [String]),
    Pairs(&'a [(&'a String, &'a String)]),
    Dictionary(&'a [(&'a str, Value<'a>)]),
}

impl SerializeTo<Variant> for Value<'_> {
    fn serialize(self, out: &mut impl Write) -> std::io::Result<usize> {
        match self {
            Value::Bool(value) => VariantWrap(gv!("b"), &value).serialize(out),
            Value::Text(value) => VariantWrap(gv!("s"), value).serialize(out),
            Value::Words(words) => VariantWrap(gv!("as"), words).serialize(out),
            Value::Pairs(pairs) => VariantWrap(gv!("a{ss}"), pairs).serialize(out),
            Value::Dictionary(entries) => VariantWrap(gv!("a{sv}"), entries).serialize(out),
        }
    }
}

#[cfg(test)]
mod tests {
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
        let with = |entries: &[(&str, Value<'_>)]| {
            StagedState::from_bytes(&gv!("a{sv}").serialize_to_vec(entries)).unwrap_err().to_string()
        };
        assert_eq!(with(&[]), "the key \"target\" is missing");
        assert_eq!(with(&[("target", Value::Bool(true))]), "the value of the key \"target\" is not of type a{sv}");
        let named = |id: &str, stateroot: &str| {
            let target =
                [("name", Value::Text(id)), ("osname", Value::Text(stateroot)), ("bootcsum", Value::Text("0"))];
            with(&[("target", Value::Dictionary(&target))])
        };
        let sum = "0".repeat(64);
        assert_eq!(
            named("0", "os"),
            "the key \"bootcsum\": \"0\" is not a SHA-256 checksum (64 lower-case hexadecimal digits)"
        );
        let escaping = |id: &str, stateroot: &str| {
            let target =
                [("name", Value::Text(id)), ("osname", Value::Text(stateroot)), ("bootcsum", Value::Text(&sum))];
            with(&[("target", Value::Dictionary(&target))])
        };
        assert_eq!(escaping(&format!("{sum}.0"), ".."), "the key \"osname\": \"..\" cannot be the name of a stateroot");
        assert!(escaping("../../x", "os").starts_with("the key \"name\": \"../../x\" is not the name of a deployment"));
    }

    #[test]
    fn unknown_keys_are_passed_over() {
        let state = read(NO_MERGE);
        let (id, stateroot) = names(&state.target.deployment);
        let sum = state.target.bootcsum.as_str();
        let target = [("name", Value::Text(&id)), ("osname", Value::Text(stateroot)), ("bootcsum", Value::Text(sum))];
        let words = ["x".to_owned()];
        let entries = [("of-the-future", Value::Words(&words)), ("target", Value::Dictionary(&target))];
        assert_eq!(StagedState::from_bytes(&gv!("a{sv}").serialize_to_vec(&entries[..])), Ok(state));
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
}
