//! `EFI_LOAD_OPTION`: a boot option of the firmware (UEFI 2.10, 3.1.3), and the device path in it (10.3).

use super::value::text;

/// The firmware may try it.
const ACTIVE: u32 = 1;
/// Not zero: it is an application, and only chosen by hand.
const CATEGORY: u32 = 0x1f00;
/// A partition, and the length of its node.
const HARD_DRIVE: (u8, u8) = (4, 1);
const HARD_DRIVE_LENGTH: usize = 42;
const FILE_PATH: (u8, u8) = (4, 4);
const END: [u8; 4] = [0x7f, 0xff, 4, 0];
const GPT: u8 = 2;
const GUID_SIGNATURE: u8 = 2;

/// An option, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadOption {
    /// As in the variable.
    pub attributes: u32,
    /// For people.
    pub description: String,
    /// The partition of a GPT that it starts from.
    pub partition: Option<[u8; 16]>,
    /// The file that it starts, with backslashes.
    pub file: Option<String>,
}

/// A partition of a GPT, in logical blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardDrive {
    /// Its number in the table.
    pub number: u32,
    /// Its first block.
    pub start: u64,
    /// How many it has.
    pub size: u64,
    /// As firmware writes it.
    pub uuid: [u8; 16],
}

impl LoadOption {
    /// Reads the value of a variable. `None`: it is none.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (attributes, rest) = value.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let end = rest.chunks_exact(2).position(|unit| unit == [0, 0])? * 2;
        let (description, rest) = rest.split_at_checked(end + 2)?;
        let path = rest.get(..usize::from(u16::from_le_bytes(*length)))?;
        let mut option = Self {
            attributes: u32::from_le_bytes(*attributes),
            description: text(description).unwrap_or_default(),
            ..Self::default()
        };
        option.read_path(path);
        Some(option)
    }

    /// The nodes of a path; what comes behind the first end is another path.
    fn read_path(&mut self, mut path: &[u8]) {
        while let Some(([kind, subkind, low, high], _)) = path.split_first_chunk::<4>() {
            let length = usize::from(u16::from_le_bytes([*low, *high]));
            let Some((node, rest)) = path.split_at_checked(length).filter(|_| length >= 4) else { return };
            match (*kind, *subkind) {
                (0x7f, _) => return,
                HARD_DRIVE if node.get(41) == Some(&GUID_SIGNATURE) => {
                    self.partition = node.get(24..40).and_then(|uuid| uuid.try_into().ok());
                }
                FILE_PATH => self.file = node.get(4..).and_then(text),
                _ => {}
            }
            path = rest;
        }
    }

    /// Whether the firmware tries it by itself.
    pub fn is_tried(&self) -> bool {
        self.attributes & ACTIVE != 0 && self.attributes & CATEGORY == 0
    }
}

/// The value of an option that starts `file`, a path with backslashes, from `drive`.
pub fn encode(description: &str, drive: &HardDrive, file: &str) -> Vec<u8> {
    let wide = |text: &str| text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let mut path = node(HARD_DRIVE, HARD_DRIVE_LENGTH);
    path.extend(drive.number.to_le_bytes());
    path.extend(drive.start.to_le_bytes());
    path.extend(drive.size.to_le_bytes());
    path.extend(drive.uuid);
    path.extend([GPT, GUID_SIGNATURE]);
    let file = wide(file);
    path.extend(node(FILE_PATH, file.len() + 4));
    path.extend(file);
    path.extend(END);
    let mut value = ACTIVE.to_le_bytes().to_vec();
    value.extend(u16::try_from(path.len()).unwrap_or(u16::MAX).to_le_bytes());
    value.extend(wide(description));
    value.extend(path);
    value
}

/// The beginning of a node.
fn node((kind, subkind): (u8, u8), length: usize) -> Vec<u8> {
    let [low, high] = u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
    vec![kind, subkind, low, high]
}

#[cfg(test)]
mod tests {
    use super::super::value::guid;
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "\\EFI\\systemd\\systemd-bootx64.efi";

    fn drive() -> HardDrive {
        let uuid = guid("5f1a7c00-0000-4000-8000-00000000000e").unwrap();
        HardDrive { number: 1, start: 2048, size: 532_480, uuid }
    }

    #[test]
    fn an_option_is_as_the_specification_says() {
        // By UEFI 2.10: a drive of 42 bytes, a file of 18, an end of 4.
        let expected = "01000000\
                        4000\
                        78000000\
                        04012a00\
                        01000000\
                        0008000000000000\
                        0020080000000000\
                        007c1a5f00000040800000000000000e\
                        0202\
                        04041200\
                        5c0078002e006500660069000000\
                        7fff0400";
        let value: String = encode("x", &drive(), "\\x.efi").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(value, expected);
    }

    #[test]
    fn what_is_written_is_read() {
        let option = LoadOption::parse(&encode("OSTree", &drive(), FILE)).unwrap();
        assert_eq!(option.description, "OSTree");
        assert_eq!((option.partition, option.file.as_deref()), (Some(drive().uuid), Some(FILE)));
        assert!(option.is_tried());
        assert!(!LoadOption { attributes: 0x109, ..option.clone() }.is_tried());
        assert!(!LoadOption { attributes: 0, ..option }.is_tried());
    }

    #[test]
    fn an_option_that_was_cut_is_none() {
        let whole = encode("OSTree", &drive(), FILE);
        for end in 0..whole.len() {
            assert_eq!(LoadOption::parse(&whole[..end]), None, "{end}");
        }
        // A node that says that it has no length.
        let mut endless = whole.clone();
        let at = whole.len() - 8 - (FILE.len() + 1) * 2;
        endless[at + 2] = 0;
        assert_eq!(LoadOption::parse(&endless).unwrap().file, None);
    }

    proptest! {
        #[test]
        fn every_option_is_read_as_written(description in "[^\0]{0,30}", file in "[^\0]{1,30}", number: u32, start: u64, size: u64, uuid: [u8; 16]) {
            let option = LoadOption::parse(&encode(&description, &HardDrive { number, start, size, uuid }, &file)).unwrap();
            prop_assert_eq!(option.description, description);
            prop_assert_eq!((option.partition, option.file), (Some(uuid), Some(file)));
        }
    }
}
