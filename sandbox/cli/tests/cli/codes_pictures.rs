//! Codes as pictures: drawn by the phone's command line, read by the till's with another library.

use std::path::{Path, PathBuf};

use image::{GrayImage, Luma, imageops};

use crate::common::{Ended, Phone, Sandbox, Till};

/// A picture beside the phone's folders.
fn place(phone: &Phone, name: &str) -> PathBuf {
    phone.beside(name)
}

fn words(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn look(till: &Till, picture: &Path, amount: &str) -> Ended {
    till.does(&["scan", "--image", words(picture), "--amount", amount])
}

fn open(picture: &Path) -> GrayImage {
    image::open(picture).unwrap().into_luma8()
}

#[test]
fn symbols_are_read_light_and_dark_and_however_the_phone_is_held() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let till = Till::of(&sandbox);
    let picture = place(&phone, "code.png");
    let turns: [fn(&GrayImage) -> GrayImage; 3] =
        [GrayImage::clone, imageops::rotate90, imageops::rotate180];
    // A day has ten payments without a password.
    for (more, turn) in [
        (&["--qr"][..], turns[0]),
        (&["--dark", "--scale", "3", "--qr"][..], turns[1]),
        (&["--barcode"][..], turns[0]),
        (&["--dark", "--scale", "2", "--barcode"][..], turns[1]),
        (&["--barcode"][..], turns[2]),
    ] {
        let shown = phone.code(&[more, &[words(&picture)]].concat());
        turn(&open(&picture)).save(&picture).unwrap();
        let scan = look(&till, &picture, "1").exits(0).json();
        assert_eq!(scan["result"], "approved", "{more:?} {shown}");
    }
}

#[test]
fn a_consumer_presented_code_is_drawn_as_a_qr_code_alone() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let till = Till::of(&sandbox);
    let (picture, drawing) = (place(&phone, "cpm.png"), place(&phone, "cpm.svg"));
    let files = ["--qr", words(&picture), "--svg", words(&drawing)];
    phone.code(&[&["--format", "cpm"][..], &files[..]].concat());
    assert!(
        std::fs::read_to_string(&drawing)
            .unwrap()
            .starts_with("<svg")
    );
    let scan = look(&till, &picture, "12.50").exits(0).json();
    assert_eq!(scan["result"], "approved");

    let bars = place(&phone, "bars.png");
    let begin = ["code", "--json", "--format", "cpm", "--barcode"];
    let refused = phone.run(&[&begin[..], &[words(&bars)]].concat());
    refused.tells(1, &["digits only"]);
    assert!(!bars.exists());
}

#[test]
fn a_picture_that_cannot_be_written_leaves_nothing_half_done() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let nowhere = place(&phone, "no such folder").join("code.png");
    let refused = phone.run(&["code", "--json", "--qr", words(&nowhere)]);
    refused.says(1, &["cannot be written"]);
}

#[test]
fn pictures_without_one_code_are_refused() {
    let sandbox = Sandbox::shared();
    let phone = Phone::with_card(&sandbox);
    let till = Till::of(&sandbox);
    let missing = place(&phone, "missing.png");
    look(&till, &missing, "1").says(1, &["cannot be read"]);
    let broken = place(&phone, "broken.png");
    std::fs::write(&broken, b"\x89PNG\r\n\x1a\n").unwrap();
    look(&till, &broken, "1").says(1, &["no png or jpeg"]);
    let white = place(&phone, "white.png");
    let page = GrayImage::from_pixel(300, 300, Luma([255]));
    page.save(&white).unwrap();
    look(&till, &white, "1").says(1, &["no qr code"]);

    let (one, two) = (place(&phone, "one.png"), place(&phone, "two.png"));
    phone.code(&["--qr", words(&one)]);
    phone.code(&["--qr", words(&two)]);
    let (left, right) = (open(&one), open(&two));
    let width = left.width() + right.width();
    let mut both = GrayImage::from_pixel(width, left.height(), Luma([255]));
    imageops::overlay(&mut both, &left, 0, 0);
    imageops::overlay(&mut both, &right, i64::from(left.width()), 0);
    both.save(&one).unwrap();
    look(&till, &one, "1").says(1, &["2 different codes"]);
}
