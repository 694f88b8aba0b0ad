//! The pairing link as a picture.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode, render::unicode};

/// The most bytes that the SVG has.
const MAX_SVG_BYTES: usize = 16 * 1024;

/// As an SVG image, at most 16 kB. `None`: the text is too long for that.
pub(super) fn svg(text: &str) -> Option<String> {
    /// Light modules around the code (ISO/IEC 18004 asks for four).
    const QUIET: usize = 4;
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let side = code.width() + 2 * QUIET;
    // A stroke for each run of dark modules: a fraction of the size of a square for each module.
    let mut path = String::new();
    for (y, row) in code.to_colors().chunks(code.width()).enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(path, "M{QUIET} {}.5", y + QUIET);
        for run in row.chunk_by(|left, right| left == right) {
            let _ = match run[0] {
                Color::Dark => write!(path, "h{}", run.len()),
                Color::Light => write!(path, "m{} 0", run.len()),
            };
        }
    }
    let image = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path stroke=\"#000\" d=\"{path}\"/></svg>"
    );
    (image.len() <= MAX_SVG_BYTES).then_some(image)
}

/// As lines of a terminal that is light on dark, two modules a character cell. `None`: the text is too long for a QR code.
pub fn terminal(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let (dark, light) = (unicode::Dense1x2::Light, unicode::Dense1x2::Dark);
    Some(code.render().dark_color(dark).light_color(light).quiet_zone(true).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_with_long_hosts_is_a_picture_of_at_most_16_kb() {
        let host = "a".repeat(128);
        let link = format!(
            "https://{host}:65535/device#v=1&t={}&k={}&s=https%3A%2F%2F{host}%3A65535",
            "A".repeat(32),
            "A".repeat(43)
        );
        let image = svg(&link).expect("small enough");
        assert!(image.starts_with("<svg ") && image.ends_with("</svg>"), "{image}");
        assert!(terminal(&link).expect("it fits").lines().count() > 20);
        assert_eq!(svg(&"x".repeat(3000)), None);
    }
}
