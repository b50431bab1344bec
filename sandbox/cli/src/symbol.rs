//! Symbols of codes as pictures: PNG and SVG files, and half-block characters for a terminal.
//!
//! A symbol's quiet zone belongs to it and is always drawn light, whatever the page around it is like.

use std::io::{Cursor, Write};
use std::path::Path;

use anyhow::Context;
use clap::Args;
use image::{GrayImage, ImageFormat, Luma};
use tapcore::ffi::CodeSymbol;

use crate::style::Style;

/// Modules of page around a symbol and its quiet zone.
const PAGE: u32 = 4;
/// The page is not black, as dark pages seldom are; a symbol's dark modules are.
const DARK_PAGE: Luma<u8> = Luma([24]);
const LIGHT: Luma<u8> = Luma([255]);
const DARK: Luma<u8> = Luma([0]);

/// How pictures of symbols are drawn.
#[derive(Clone, Debug, Args)]
pub(crate) struct PageArgs {
    /// Pixels to a module in PNG files [default: 8, in bar codes 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    scale: Option<u32>,
    /// Draw PNG files on a dark page
    #[arg(long)]
    dark: bool,
}

/// A symbol as a PNG file's content.
pub(crate) fn png(symbol: &CodeSymbol, page: &PageArgs) -> anyhow::Result<Vec<u8>> {
    // A bar code has one row, several times as wide as a QR code and as high as is set.
    let scale = page.scale.unwrap_or(match symbol.rows {
        1 => 4,
        _ => 8,
    });
    let height = symbol.rows * symbol.row_height;
    let around = match page.dark {
        true => DARK_PAGE,
        false => LIGHT,
    };
    let side = |modules: u32| (modules + 2 * PAGE) * scale;
    let picture = GrayImage::from_fn(side(symbol.width), side(height), |x, y| {
        let column = (x / scale).checked_sub(PAGE);
        let row = (y / scale).checked_sub(PAGE);
        match column.zip(row) {
            Some((column, row)) if column < symbol.width && row < height => {
                match is_dark(symbol, column, row / symbol.row_height.max(1)) {
                    true => DARK,
                    false => LIGHT,
                }
            }
            _ => around,
        }
    });
    let mut png = Cursor::new(Vec::new());
    picture
        .write_to(&mut png, ImageFormat::Png)
        .context("the picture cannot be made")?;
    Ok(png.into_inner())
}

/// A symbol in characters of half a square each, two rows of modules to a line. Where colours are not to be used the
/// terminal is taken to be dark.
pub(crate) fn half_blocks(symbol: &CodeSymbol, style: Style) -> String {
    let rows = (0..symbol.rows).step_by(2);
    let lines = rows.map(|row| {
        let columns = 0..symbol.width;
        let characters: String = columns
            .map(|column| {
                let upper = is_dark(symbol, column, row) == style.colours();
                let lower = is_dark(symbol, column, row + 1) == style.colours();
                match (upper, lower) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                }
            })
            .collect();
        style.black_on_white(&characters) + "\n"
    });
    lines.collect()
}

/// What is outside of a symbol is light.
fn is_dark(symbol: &CodeSymbol, column: u32, row: u32) -> bool {
    let at = u64::from(row) * u64::from(symbol.width) + u64::from(column);
    let module = usize::try_from(at)
        .ok()
        .and_then(|at| symbol.modules.get(at));
    module.is_some_and(|module| *module != 0)
}

/// Puts a file in its place whole or not at all. Only its owner can read it: what it shows pays.
pub(crate) fn keep(file: &Path, content: &[u8]) -> anyhow::Result<()> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let attempt = || -> std::io::Result<()> {
        let mut beside = tempfile::NamedTempFile::new_in(folder)?;
        beside.write_all(content)?;
        beside.persist(file)?;
        Ok(())
    };
    attempt().with_context(|| {
        format!(
            "{} cannot be written: is there such a folder, and room on the disk?",
            file.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(scale: Option<u32>, dark: bool) -> PageArgs {
        PageArgs { scale, dark }
    }

    fn symbol(width: u32, row_height: u32, modules: &[u8]) -> CodeSymbol {
        CodeSymbol {
            width,
            rows: u32::try_from(modules.len()).unwrap() / width,
            row_height,
            modules: modules.to_vec(),
            svg: String::new(),
        }
    }

    fn read(png: &[u8]) -> GrayImage {
        image::load_from_memory(png).unwrap().into_luma8()
    }

    #[test]
    fn a_module_is_so_many_pixels_and_the_page_is_around() {
        let qr = symbol(2, 1, &[1, 0, 0, 1]);
        let picture = read(&png(&qr, &page(Some(3), true)).unwrap());
        assert_eq!(picture.dimensions(), (30, 30));
        let at = |x, y| picture.get_pixel(x, y).0[0];
        assert_eq!((at(0, 0), at(11, 12), at(18, 12)), (24, 24, 24));
        assert_eq!(
            [at(12, 12), at(14, 14), at(15, 12), at(17, 17)],
            [0, 0, 255, 0]
        );
        let light = read(&png(&qr, &page(None, false)).unwrap());
        assert_eq!(light.dimensions(), (80, 80));
        assert_eq!(light.get_pixel(0, 0).0, [255]);
        let bars = symbol(3, 5, &[0, 1, 0]);
        let bars = read(&png(&bars, &page(None, false)).unwrap());
        assert_eq!(bars.dimensions(), (44, 52));
        assert_eq!(bars.get_pixel(20, 35).0, [0]);
    }

    #[test]
    fn two_rows_are_one_line() {
        let qr = symbol(3, 1, &[1, 0, 1, 0, 0, 1, 1, 1, 0]);
        // Without colours light is drawn, dark is left out.
        assert_eq!(half_blocks(&qr, Style::plain()), "▄█ \n▄▄█\n");
    }

    #[test]
    fn a_file_is_kept_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("code.png");
        keep(&file, b"one").unwrap();
        keep(&file, b"two").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let nowhere = folder.path().join("none").join("code.png");
        let refused = keep(&nowhere, b"x").unwrap_err().to_string();
        assert!(refused.contains("cannot be written"), "{refused}");
    }
}
