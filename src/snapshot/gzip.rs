//! A gzip stream whose beginning is compressed once and whose end is added for each reader.
//!
//! The data is large and changes when a poll ends; the exporter's own metrics are few and change more often. So the data
//! becomes a run of deflate blocks that ends on a byte and is not marked as the last (a "full flush"); the own metrics become the
//! blocks after it, and the trailer's checksum is combined from both. The result is one ordinary gzip member (RFC 1952): several members in a row would be
//! legal too, but some clients stop after the first.

use bytes::Bytes;
use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress, Status};

/// No name, no time, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The compressed beginning.
#[derive(Clone, Debug)]
pub(super) struct Prefix {
    bytes: Bytes,
    checksum: Hasher,
    length: u32,
}

impl Prefix {
    /// Compresses `data`.
    pub(super) fn of(data: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(data.len() / 16 + 64);
        bytes.extend_from_slice(&HEADER);
        deflate(data, Compression::new(6), FlushCompress::Full, &mut bytes);
        bytes.shrink_to_fit();
        let mut checksum = Hasher::new();
        checksum.update(data);
        Self { bytes: bytes.into(), checksum, length: length(data) }
    }

    /// The compressed data itself: the beginning of every stream.
    pub(super) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// What makes a whole stream of it, with the `end` as the end of the text.
    pub(super) fn finish(&self, end: &Suffix) -> Bytes {
        let mut bytes = Vec::with_capacity(end.bytes.len() + 8);
        bytes.extend_from_slice(&end.bytes);
        let mut whole = self.checksum.clone();
        whole.combine(&end.checksum);
        bytes.extend_from_slice(&whole.finalize().to_le_bytes());
        bytes.extend_from_slice(&self.length.wrapping_add(end.length).to_le_bytes());
        bytes.into()
    }
}

/// The compressed end, without the trailer: that depends on the beginning.
#[derive(Clone, Debug)]
pub(super) struct Suffix {
    bytes: Bytes,
    checksum: Hasher,
    length: u32,
}

impl Suffix {
    /// Compresses `data`, rather quickly than well: it is small and soon outdated.
    pub(super) fn of(data: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(data.len() / 4 + 64);
        deflate(data, Compression::fast(), FlushCompress::Finish, &mut bytes);
        let mut checksum = Hasher::new();
        checksum.update(data);
        Self { bytes: bytes.into(), checksum, length: length(data) }
    }
}

/// The length modulo 2^32, as the trailer has it.
fn length(data: &[u8]) -> u32 {
    u32::try_from(data.len() as u64 & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

fn deflate(data: &[u8], level: Compression, flush: FlushCompress, out: &mut Vec<u8>) {
    let mut compress = Compress::new(level, false);
    loop {
        let taken = usize::try_from(compress.total_in()).unwrap_or(data.len());
        out.reserve((data.len() - taken) / 16 + 256);
        let before = out.len();
        match compress.compress_vec(&data[taken..], out, flush) {
            Ok(Status::StreamEnd) => return,
            // A flush is complete when it leaves room: else there is more to come.
            Ok(_) if compress.total_in() == data.len() as u64 && out.len() < out.capacity() => {
                if !matches!(flush, FlushCompress::Finish) {
                    return;
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!("compression failed: {error}");
                return;
            }
        }
        if out.len() == before && compress.total_in() == data.len() as u64 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proptest::prelude::proptest;

    use super::*;

    #[track_caller]
    fn check(data: &[u8], tails: &[&[u8]]) {
        let prefix = Prefix::of(data);
        for tail in tails {
            let stream = [prefix.bytes(), prefix.finish(&Suffix::of(tail))].concat();
            let mut text = Vec::new();
            // A decoder of a single member: it must hold everything, and its checksum is verified.
            let mut decoder = GzDecoder::new(stream.as_slice());
            decoder.read_to_end(&mut text).unwrap();
            assert_eq!(text, [data, tail].concat());
        }
    }

    #[test]
    fn whole_streams() {
        check(b"", &[b"", b"x"]);
        let large: Vec<u8> =
            (0..3_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        check(&large, &[b"", b"tail", &large[..100_000]]);
        check("akamai_up 1\n".repeat(300_000).as_bytes(), &[b"akamai_up 2\n"]);
    }

    proptest! {
        #[test]
        fn any_data_and_tail(data: Vec<u8>, tail: Vec<u8>) {
            check(&data, &[&tail]);
        }
    }
}
