//! A camera's picture of a phone's screen, and the code in it: QR or Code 128, however the phone is held.
//!
//! Reading is left to a library that is not the one that draws (crate `rxing`, a port of ZXing), so that this till reads
//! what tills read.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageReader, Limits, imageops};
use rxing::helpers::detect_multiple_in_luma_with_hints;
use rxing::{BarcodeFormat, DecodeHints};

/// The longest side of a picture, in pixels: more than cameras make.
const LONGEST_SIDE: u32 = 20_000;

/// Why there is no code to be had from a picture. Its text is the sentence for the person at the till.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureError {
    /// No PNG or JPEG, a damaged one, or one of a size that no camera makes.
    Unreadable,
    /// A picture without a code.
    NoCode,
    /// So many different codes: whose is to pay nobody can tell.
    SeveralCodes(usize),
}

impl fmt::Display for PictureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str(
                "the picture cannot be read: it is no PNG or JPEG, is damaged, or is too large",
            ),
            Self::NoCode => f.write_str(
                "there is no QR code or bar code in the picture: take another one, sharp and with all of the code's white edge",
            ),
            Self::SeveralCodes(count) => write!(
                f,
                "there are {count} different codes in the picture: take one of the customer's code alone"
            ),
        }
    }
}

impl std::error::Error for PictureError {}

/// The text of the one code in a picture, a PNG or JPEG file's content.
///
/// # Errors
/// [`PictureError`], also when there are several codes that do not say the same.
pub fn code_in(file: &[u8]) -> Result<String, PictureError> {
    let picture = grey(open(file).ok_or(PictureError::Unreadable)?);
    let mut found = texts(&picture);
    if found.is_empty() {
        // Bars are looked for along the rows of a picture; a phone may lie across.
        found = texts(&imageops::rotate90(&picture));
    }
    let count = found.len();
    match found.pop_first() {
        None => Err(PictureError::NoCode),
        Some(_) if count > 1 => Err(PictureError::SeveralCodes(count)),
        Some(text) => Ok(text),
    }
}

fn open(file: &[u8]) -> Option<DynamicImage> {
    let mut reader = ImageReader::new(Cursor::new(file))
        .with_guessed_format()
        .ok()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    reader.limits(limits);
    reader.decode().ok()
}

/// Shades of grey. What is transparent is seen as the white page behind it.
fn grey(picture: DynamicImage) -> GrayImage {
    if !picture.color().has_alpha() {
        return picture.into_luma8();
    }
    let picture = picture.into_luma_alpha8();
    GrayImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [luma, alpha] = picture.get_pixel(x, y).0.map(u16::from);
        let seen = (luma * alpha + 255 * (255 - alpha)) / 255;
        image::Luma([u8::try_from(seen).unwrap_or(u8::MAX)])
    })
}

/// What the codes in a picture say, each text once.
fn texts(picture: &GrayImage) -> BTreeSet<String> {
    let mut hints = DecodeHints {
        TryHarder: Some(true),
        PossibleFormats: Some(HashSet::from([
            BarcodeFormat::QR_CODE,
            BarcodeFormat::CODE_128,
        ])),
        ..DecodeHints::default()
    };
    let (width, height) = picture.dimensions();
    let luma = picture.as_raw().clone();
    // The one error is that there is nothing.
    let found = detect_multiple_in_luma_with_hints(luma, width, height, &mut hints);
    let found = found.unwrap_or_default();
    let texts = found.iter().map(|code| code.getText().to_owned());
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_picture_or_holds_no_code_is_said() {
        assert_eq!(code_in(b""), Err(PictureError::Unreadable));
        assert_eq!(code_in(b"\x89PNG\r\n"), Err(PictureError::Unreadable));
        let mut white = Cursor::new(Vec::new());
        let page = GrayImage::from_pixel(200, 100, image::Luma([255]));
        page.write_to(&mut white, image::ImageFormat::Png).unwrap();
        assert_eq!(code_in(white.get_ref()), Err(PictureError::NoCode));
    }
}
