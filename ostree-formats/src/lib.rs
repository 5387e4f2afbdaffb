//! Bytes and text to values and back: no I/O, no unsafe.
