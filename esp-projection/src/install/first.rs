//! After a good boot: systemd-boot becomes the first one that the firmware starts.

use super::change::Change;
use crate::firmware::Firmware;

/// The option that `install` made and no good boot has confirmed.
pub fn confirmable(firmware: &Firmware, partition: &[u8; 16], file: &str) -> Option<u16> {
    // One that is anywhere in the order was confirmed: who has moved it behind another one, wanted that.
    firmware.made(partition, file).find(|number| !firmware.order.contains(number))
}

/// The change that makes it the first one. None: there is nothing to confirm, or this boot was started otherwise.
pub fn confirm(firmware: &Firmware, partition: &[u8; 16], file: &str) -> Option<Change> {
    let number = confirmable(firmware, partition, file)?;
    if firmware.current != Some(number) {
        return None;
    }
    let order: Vec<u16> = std::iter::once(number).chain(firmware.order.iter().copied()).collect();
    Some(Change::set_order(firmware, &order))
}
