//! A layer's bytes as a tar stream, whichever way they were compressed.

use std::io::{BufRead, Error, Read, Result};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Decodes gzip and zstd by their magic numbers; anything else is taken as it is.
pub(super) fn open<'a>(mut source: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>> {
    let magic = source.fill_buf()?;
    if magic.starts_with(&GZIP) {
        Ok(Box::new(MultiGzDecoder::new(source)))
    } else if magic.starts_with(&ZSTD) || is_skippable(magic) {
        Ok(Box::new(Frames { source: Some(source), frame: None }))
    } else {
        Ok(Box::new(source))
    }
}

fn is_skippable(magic: &[u8]) -> bool {
    magic.len() >= 4 && (0x50..=0x5f).contains(&magic[0]) && magic[1..4] == [0x2a, 0x4d, 0x18]
}

/// zstd's frames, one after the other.
struct Frames<R: BufRead> {
    source: Option<R>,
    frame: Option<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(frame) = &mut self.frame {
                match frame.read(buffer)? {
                    0 => self.source = self.frame.take().map(StreamingDecoder::into_inner),
                    read => return Ok(read),
                }
            }
            let Some(mut source) = self.source.take() else { return Ok(0) };
            let ahead = source.fill_buf()?;
            if ahead.is_empty() {
                return Ok(0);
            }
            if is_skippable(ahead) {
                skip(&mut source)?;
                self.source = Some(source);
            } else {
                self.frame = Some(StreamingDecoder::new(source).map_err(Error::other)?);
            }
        }
    }
}

/// Skips a frame of no content: four bytes of magic, four of length.
fn skip(source: &mut impl BufRead) -> Result<()> {
    let mut head = [0; 8];
    source.read_exact(&mut head)?;
    let length = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
    let skipped = std::io::copy(&mut source.take(length), &mut std::io::sink())?;
    if skipped == length { Ok(()) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[track_caller]
    fn check(bytes: &[u8], want: &[u8]) {
        let mut seen = Vec::new();
        open(bytes).unwrap().read_to_end(&mut seen).unwrap();
        assert_eq!(seen, want);
    }

    #[test]
    fn gzip_zstd_and_plain_bytes_come_out_the_same() {
        let text = b"a layer ".repeat(10_000);
        check(&text, &text);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        check(&gzip.finish().unwrap(), &text);
        let zstd = ruzstd::encoding::compress_to_vec(&text[..], ruzstd::encoding::CompressionLevel::Fastest);
        check(&zstd, &text);
        // As zstd:chunked layers are: frames behind each other, with some that only tell.
        let told = [b"\x50\x2a\x4d\x18\x03\0\0\0abc".as_slice(), &zstd, b"\x5f\x2a\x4d\x18\0\0\0\0", &zstd];
        check(&told.concat(), &text.repeat(2));
    }

    #[test]
    fn broken_streams_are_errors() {
        let mut seen = Vec::new();
        assert!(open(&b"\x1f\x8b\x08junk"[..]).unwrap().read_to_end(&mut seen).is_err());
        assert!(open(&b"\x28\xb5\x2f\xfdjunk"[..]).unwrap().read_to_end(&mut seen).is_err());
    }
}
