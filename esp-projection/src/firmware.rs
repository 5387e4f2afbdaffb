//! What the firmware boots: its variables (UEFI 2.10, 3.1 and 3.3) as values. Pure.

mod load_option;

use std::collections::{BTreeMap, BTreeSet};

pub use load_option::{HardDrive, LoadOption, encode};

/// The description of the option that [`crate::install`] makes: by it, and by what it starts, the option is found again.
pub const DESCRIPTION: &str = "OSTree (systemd-boot)";

/// The boot options, and what is known of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firmware {
    /// `BootOrder`.
    pub order: Vec<u16>,
    /// `BootNext`: for one boot.
    pub next: Option<u16>,
    /// `BootCurrent`: by which one this boot was started.
    pub current: Option<u16>,
    /// `Boot####` that can be read.
    pub options: BTreeMap<u16, LoadOption>,
    /// Numbers of all `Boot####`, those that cannot be read too.
    pub numbers: BTreeSet<u16>,
    /// `SecureBoot`.
    pub is_secure: bool,
}

impl Firmware {
    /// The numbers of the options that start this file on this partition.
    pub fn starting<'a>(&'a self, partition: &'a [u8; 16], file: &'a str) -> impl Iterator<Item = u16> + 'a {
        let is_it = move |option: &LoadOption| {
            option.partition.as_ref() == Some(partition)
                && option.file.as_deref().is_some_and(|path| path.eq_ignore_ascii_case(file))
        };
        self.options.iter().filter(move |(_, option)| is_it(option)).map(|(number, _)| *number)
    }

    /// Those of them that `install` made.
    pub fn made<'a>(&'a self, partition: &'a [u8; 16], file: &'a str) -> impl Iterator<Item = u16> + 'a {
        let is_made = |number: &u16| self.options.get(number).is_some_and(|option| option.description == DESCRIPTION);
        self.starting(partition, file).filter(is_made)
    }

    /// The option that is tried first, without `BootNext`.
    pub fn first(&self) -> Option<u16> {
        self.order.iter().copied().find(|number| self.options.get(number).is_some_and(LoadOption::is_tried))
    }

    /// A number that no option has.
    pub fn free(&self) -> Option<u16> {
        (0..=u16::MAX).find(|number| !self.numbers.contains(number))
    }

    /// An option as it is shown.
    pub fn shown(&self, number: u16) -> String {
        let description = self.options.get(&number).map(|option| format!(" ({})", option.description));
        format!("{}{}", name(number), description.unwrap_or_default())
    }
}

/// The name of an option's variable.
pub fn name(number: u16) -> String {
    format!("Boot{number:04X}")
}

/// The number in the name of a variable; four digits.
pub fn number(name: &str) -> Option<u16> {
    let digits = name.strip_prefix("Boot")?;
    let is_number = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| is_number)
}

/// A list of numbers, as in `BootOrder`. Half a number at the end is none.
pub fn numbers(value: &[u8]) -> Vec<u16> {
    value.chunks_exact(2).filter_map(|pair| Some(u16::from_le_bytes(pair.try_into().ok()?))).collect()
}

/// The value of `BootOrder`.
pub fn order(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// A text as firmware writes it, up to its end; `None`: there is none, or it is no text.
pub fn text(value: &[u8]) -> Option<String> {
    let units = value.chunks_exact(2).filter_map(|pair| Some(u16::from_le_bytes(pair.try_into().ok()?)));
    let text: Result<String, _> = char::decode_utf16(units.take_while(|unit| *unit != 0)).collect();
    text.ok().filter(|text| !text.is_empty())
}

/// The bytes of a UUID as firmware has them: the first three groups with the low byte first.
pub fn guid(uuid: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = uuid.trim().split('-').collect();
    if groups.iter().map(|group| group.len()).collect::<Vec<_>>() != [8, 4, 4, 4, 12] {
        return None;
    }
    let digits = groups.concat();
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = u128::from_str_radix(&digits, 16).ok()?.to_be_bytes();
    for range in [0..4, 4..6, 6..8] {
        bytes.get_mut(range)?.reverse();
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(name(0x2a), "Boot002A");
        assert_eq!(number("Boot002A"), Some(0x2a));
        for other in ["BootOrder", "Boot02A", "Boot+02A", "BootNext", "Boot00000"] {
            assert_eq!(number(other), None, "{other}");
        }
        assert_eq!(numbers(&[1, 0, 2, 1, 9]), [1, 0x102]);
        assert_eq!(order(&[1, 0x102]), [1, 0, 2, 1]);
        let firmware = Firmware { numbers: BTreeSet::from([0, 1, 3]), ..Firmware::default() };
        assert_eq!(firmware.free(), Some(2));
        assert_eq!(Firmware { numbers: (0..=u16::MAX).collect(), ..Firmware::default() }.free(), None);
    }

    #[test]
    fn a_uuid_has_the_order_of_firmware() {
        let bytes = guid("00112233-4455-6677-8899-AABBccddeeff").unwrap();
        let expected = [0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
        assert_eq!(bytes, expected);
        for bad in ["", "1234-ABCD", "00112233-4455-6677-8899-aabbccddeefg", "+0112233-4455-6677-8899-aabbccddeeff"] {
            assert_eq!(guid(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, text_of in ".*") {
            let _ = (text(&bytes), numbers(&bytes), guid(&text_of), number(&text_of), LoadOption::parse(&bytes));
        }
    }
}
