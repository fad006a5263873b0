//! `md5` and `sha1`: the raw digest; rules follow them with `hexEncode`.

use md5::{Digest, Md5};
use sha1_smol::Sha1;

/// `md5`: 16 bytes. RFC 1321.
pub(super) fn md5(value: &[u8]) -> Vec<u8> {
    Md5::digest(value).to_vec()
}

/// `sha1`: 20 bytes. RFC 3174.
pub(super) fn sha1(value: &[u8]) -> Vec<u8> {
    Sha1::from(value).digest().bytes().to_vec()
}
