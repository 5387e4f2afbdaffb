//! Values of variables.

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
