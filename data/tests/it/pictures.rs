//! Pictures of all kinds: each is brought to one form by one rule.

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use rstest::rstest;
use skein_data::pixels::{Fault, Target, fit, look};

use crate::bring::{Place, encoded, grey_picture, picture, png, refused, zip};

const RGB: Target = Target { channels: 3, width: 8, height: 8 };
const GREY: Target = Target { channels: 1, width: 8, height: 8 };

fn chunk(name: &[u8; 4], bytes: &[u8]) -> Vec<u8> {
    let mut checksum = flate2::Crc::new();
    checksum.update(name);
    checksum.update(bytes);
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length, &name[..], bytes, &checksum.sum().to_be_bytes()].concat()
}

/// A PNG by hand: bits of a value, colour type, bytes of all rows.
fn by_hand(
    (width, height): (u32, u32),
    bits: u8,
    kind: u8,
    palette: &[u8],
    rows: &[u8],
) -> Vec<u8> {
    use std::io::Write as _;
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(rows).unwrap();
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[bits, kind, 0, 0, 0]].concat();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.extend(chunk(b"IHDR", &head));
    if !palette.is_empty() {
        file.extend(chunk(b"PLTE", palette));
    }
    file.extend(chunk(b"IDAT", &packed.finish().unwrap()));
    file.extend(chunk(b"IEND", &[]));
    file
}

/// A JPEG of one block a component, its key plate at a grey of its own.
fn cmyk(key: u8) -> Vec<u8> {
    let mut file = b"\xFF\xD8\xFF\xEE\x00\x0EAdobe\x00\x64\0\0\0\0\0".to_vec();
    file.extend([0xFF, 0xDB, 0, 67, 0]);
    file.extend([8; 64]);
    file.extend([0xFF, 0xC0, 0, 20, 8, 0, 8, 0, 8, 4]);
    file.extend((1..=4).flat_map(|component| [component, 0x11, 0]));
    let codes = |of: [u8; 2]| [&of[..], &[0; 14]].concat();
    file.extend([&[0xFF, 0xC4, 0, 21, 0x00][..], &codes([0, 2]), &[0, 6]].concat());
    file.extend([&[0xFF, 0xC4, 0, 20, 0x10][..], &codes([1, 0]), &[0]].concat());
    file.extend([0xFF, 0xDA, 0, 14, 4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0]);
    // Three blocks of no change, one of `key`: a code, six bits, an end.
    let bits = format!("000000000{}{key:06b}0", "01");
    let bits = format!("{bits:1<24}");
    let bytes = bits
        .as_bytes()
        .chunks(8)
        .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap());
    file.extend(bytes);
    file.extend([0xFF, 0xD9]);
    file
}

fn animation() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for value in [200, 10] {
        let image = RgbaImage::from_pixel(8, 8, Rgba([value, 0, 0, 255]));
        encoder.encode_frame(Frame::new(image)).unwrap();
    }
    drop(encoder);
    bytes
}

/// A JPEG whose left half is white, and which was taken with the camera turned.
fn turned(orientation: u8) -> Vec<u8> {
    let image = RgbImage::from_fn(16, 8, |x, _| Rgb([if x < 8 { 255 } else { 0 }; 3]));
    let file = encoded(&image.into(), ImageFormat::Jpeg);
    let exif = [
        &b"Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"[..],
        &[orientation],
        &[0; 6],
    ]
    .concat();
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&file[..2], &[0xFF, 0xE1], &length, &exif, &file[2..]].concat()
}

#[test]
fn sixteen_bits_become_eight() {
    let image: ImageBuffer<Luma<u16>, Vec<u16>> =
        ImageBuffer::from_fn(8, 8, |x, y| Luma([u16::try_from(x + 8 * y).unwrap() * 257 + 100]));
    let file = encoded(&DynamicImage::ImageLuma16(image), ImageFormat::Png);
    assert_eq!(look(&file).unwrap().mode, "grey, 16 bit");
    assert_eq!(fit(&file, GREY).unwrap().bytes, (0..64).collect::<Vec<u8>>());
    let deep: ImageBuffer<Rgb<u16>, Vec<u16>> =
        ImageBuffer::from_pixel(8, 8, Rgb([257, 514, 65_535]));
    let file = encoded(&DynamicImage::ImageRgb16(deep), ImageFormat::Png);
    assert_eq!(look(&file).unwrap().mode, "RGB, 16 bit");
    assert_eq!(fit(&file, RGB).unwrap().bytes, [vec![1; 64], vec![2; 64], vec![255; 64]].concat());
}

#[test]
fn palettes_become_rgb() {
    let rows: Vec<u8> = (0..8).flat_map(|_| [0, 0b0101_0101]).collect();
    let file = by_hand((8, 8), 1, 3, &[10, 20, 30, 40, 50, 60], &rows);
    let seen = look(&file).unwrap();
    assert_eq!((seen.mode.as_str(), seen.grey), ("palette", false));
    let found = fit(&file, RGB).unwrap().bytes;
    assert_eq!((found[0], found[1], found[64], found[129]), (10, 40, 20, 60));
}

#[test]
fn cmyk_becomes_rgb() {
    let file = cmyk(40);
    let seen = look(&file).unwrap();
    assert_eq!((seen.mode.as_str(), seen.grey, seen.width), ("CMYK", false, 8));
    let found = fit(&file, RGB).unwrap().bytes;
    // 128 of each ink, as Adobe's programs write them turned round, under a key plate of 168.
    assert!(found.iter().all(|value| (75..=95).contains(value)), "{found:?}");
}

#[test]
fn the_first_frame_of_an_animation_counts() {
    let found = fit(&animation(), RGB).unwrap().bytes;
    assert!(found[..64].iter().all(|value| *value > 190), "{found:?}");
}

#[rstest]
#[case::upright(1, (16, 8), [true, false, true, false])]
#[case::half(3, (16, 8), [false, true, false, true])]
#[case::right(6, (8, 16), [true, true, false, false])]
#[case::left(8, (8, 16), [false, false, true, true])]
fn a_turned_camera_is_turned_back(
    #[case] orientation: u8,
    #[case] sides: (u32, u32),
    #[case] white: [bool; 4],
) {
    let file = turned(orientation);
    let seen = look(&file).unwrap();
    assert_eq!((seen.width, seen.height), sides);
    let target = Target { channels: 1, width: sides.0, height: sides.1 };
    let found = fit(&file, target).unwrap().bytes;
    let (width, last) = (sides.0 as usize, found.len() - 1);
    let corners = [0, width - 1, last + 1 - width, last].map(|at| found[at] > 128);
    assert_eq!(corners, white);
}

#[test]
fn what_is_transparent_lies_on_black_or_white() {
    let drawing = |ink: u8| {
        let image =
            RgbaImage::from_fn(8, 8, |x, _| Rgba([ink, ink, ink, if x < 4 { 255 } else { 0 }]));
        fit(&encoded(&image.into(), ImageFormat::Png), GREY).unwrap().bytes
    };
    assert_eq!((drawing(0)[0], drawing(0)[7]), (0, 255));
    assert_eq!((drawing(255)[0], drawing(255)[7]), (255, 0));
}

#[rstest]
#[case::png(by_hand((60_000, 60_000), 8, 2, &[], &[0; 100]))]
#[case::grey(by_hand((16_385, 1), 8, 0, &[], &[0; 100]))]
#[case::wide(by_hand((1 << 24, 1), 8, 0, &[], &[0; 100]))]
#[case::sixteen(by_hand((10_000, 10_000), 16, 2, &[], &[0; 100]))]
fn a_huge_image_is_told_by_its_header(#[case] file: Vec<u8>) {
    let fault = look(&file).unwrap_err();
    assert!(matches!(fault, Fault::Size { .. }), "{fault:?}");
    assert_eq!(fit(&file, RGB).unwrap_err(), fault);
}

#[test]
fn a_bitmap_that_claims_four_gigabytes() {
    let mut file = encoded(&picture(1, 8), ImageFormat::Bmp);
    file[18..22].copy_from_slice(&32_767_u32.to_le_bytes());
    file[22..26].copy_from_slice(&32_767_u32.to_le_bytes());
    assert!(look(&file).is_err() && fit(&file, RGB).is_err());
}

#[rstest]
#[case::png(ImageFormat::Png)]
#[case::jpeg(ImageFormat::Jpeg)]
#[case::gif(ImageFormat::Gif)]
#[case::bmp(ImageFormat::Bmp)]
#[case::webp(ImageFormat::WebP)]
#[case::tiff(ImageFormat::Tiff)]
#[case::pnm(ImageFormat::Pnm)]
fn a_cut_off_file_is_no_image(#[case] format: ImageFormat) {
    let file = encoded(&picture(3, 40), format);
    let whole = Target { channels: 3, width: 40, height: 40 };
    assert!(fit(&file, whole).is_ok());
    let cuts = [file.len() / 4, file.len() / 2, file.len() * 3 / 4];
    for keep in cuts {
        assert!(fit(&file[..keep], whole).is_err(), "{format:?} {keep} of {}", file.len());
    }
}

#[test]
fn all_kinds_in_one_set_are_told_and_made_one() {
    let grey = |number| encoded(&grey_picture(number, 32), ImageFormat::Png);
    let soft = DynamicImage::from(RgbaImage::from_pixel(30, 40, Rgba([9, 200, 9, 128])));
    let deep: ImageBuffer<Luma<u16>, Vec<u16>> = ImageBuffer::from_pixel(64, 64, Luma([5000]));
    let files = vec![
        ("a/1.png".to_owned(), grey(1)),
        ("a/2.jpg".into(), turned(6)),
        ("a/3.jpg".into(), cmyk(33)),
        ("a/4.gif".into(), animation()),
        ("b/1.png".into(), png(1)),
        ("b/2.png".into(), encoded(&soft, ImageFormat::Png)),
        ("b/3.png".into(), encoded(&DynamicImage::ImageLuma16(deep), ImageFormat::Png)),
        ("b/4.tiff".into(), encoded(&picture(5, 20), ImageFormat::Tiff)),
        ("b/5.webp".into(), encoded(&picture(6, 20), ImageFormat::WebP)),
        ("b/huge.png".into(), by_hand((60_000, 60_000), 8, 2, &[], &[0; 100])),
        ("b/cut.png".into(), png(7)[..300].to_vec()),
        ("b/text.jpg".into(), b"no image".to_vec()),
        ("b/notes.txt".into(), b"no image".to_vec()),
    ];
    let prepared = Place::new().bytes("x.zip", &zip(&files)).unwrap();
    let report = &prepared.report;
    let modes: Vec<String> =
        report.modes.iter().map(|mode| format!("{} {}", mode.images, mode.name)).collect();
    assert_eq!(
        modes,
        [
            "5 RGB, 8 bit",
            "1 CMYK",
            "1 RGB with alpha, 8 bit",
            "1 grey, 16 bit",
            "1 grey, 8 bit",
            "1 palette"
        ]
    );
    let finding = |code: &str| report.findings.iter().find(|finding| finding.code == code).unwrap();
    assert_eq!(
        finding("too_large_images").examples,
        ["b/huge.png: the image is too large: 60000×60000 pixels; send one of at most 67 million"]
    );
    assert_eq!(finding("unreadable_images").count, 2);
    assert_eq!(
        finding("unreadable_images").examples[1],
        "b/text.jpg: this is no PNG, JPEG, WebP, GIF or BMP image (nor TIFF or PNM)"
    );
    assert_eq!(finding("other_files").examples, ["b/notes.txt"]);
    assert_eq!(finding("transparent").count, 1);
    assert_eq!(finding("one_colour").count, 4);
    assert_eq!(prepared.facts.shape.channels, 3);
    assert_eq!(prepared.facts.train + prepared.facts.test, 9);
    let sizes = report.sizes.as_ref().unwrap();
    assert_eq!((sizes.smallest, sizes.largest), ([8, 8], [64, 64]));
}

#[test]
fn a_set_of_grey_images_has_one_channel() {
    let files: Vec<_> = (0..8)
        .map(|number| {
            (
                format!("{}/{number}.png", number % 2),
                encoded(&grey_picture(number, 28), ImageFormat::Png),
            )
        })
        .collect();
    let prepared = Place::new().bytes("x.zip", &zip(&files)).unwrap();
    assert_eq!((prepared.facts.shape.channels, prepared.facts.shape.height), (1, 28));
    let suggestion = prepared.report.suggestion.unwrap();
    assert_eq!((suggestion.size, suggestion.channels), (28, 1));
    let flip =
        suggestion.augmentation.iter().find(|setting| setting.field == "dataset.flip").unwrap();
    assert_eq!(flip.value, false);
}

#[test]
fn a_set_of_broken_images_is_refused() {
    let mut files: Vec<_> =
        (0..3).map(|number| (format!("a/{number}.png"), png(number)[..100].to_vec())).collect();
    files.extend((0..2).map(|number| (format!("b/{number}.png"), png(10 + number))));
    let (code, said) = refused(Place::new().bytes("x.zip", &zip(&files)));
    assert_eq!(code, "mostly_unreadable");
    assert!(
        said.starts_with(
            "3 of 5 images cannot be read, `a/0.png` for one: the image cannot be read"
        ),
        "{said}"
    );
}
