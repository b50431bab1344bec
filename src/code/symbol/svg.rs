//! A symbol as a picture that any browser draws.

use std::fmt::Write;

use super::Matrix;

/// The symbol as SVG, one unit to a module. The light background covers the quiet zone, so that a dark page does not reach
/// the modules, and edges are not smoothed: grey modules are misread.
pub fn draw(matrix: &Matrix) -> String {
    let height = matrix.row_height();
    let (width, whole) = (matrix.width(), matrix.rows() * height);
    let mut path = String::new();
    for row in 0..matrix.rows() {
        for (column, length) in matrix.runs(row) {
            // Writing to a string does not fail.
            let _ = write!(
                path,
                "M{column} {}h{length}v{height}h-{length}z",
                row * height
            );
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {whole}\" shape-rendering=\"crispEdges\">\
         <rect width=\"{width}\" height=\"{whole}\" fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_become_rectangles_on_a_light_ground() {
        let matrix = Matrix::square(vec![true, true, false, true], 2, 1);
        assert_eq!(
            draw(&matrix),
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 4 4\" shape-rendering=\"crispEdges\">\
             <rect width=\"4\" height=\"4\" fill=\"#fff\"/><path d=\"M1 1h2v1h-2zM2 2h1v1h-1z\" fill=\"#000\"/></svg>\n"
        );
    }

    #[test]
    fn bars_have_their_height() {
        let picture = draw(&Matrix::bars(vec![true, false, true], 40, 10));
        assert!(picture.contains("viewBox=\"0 0 23 40\""));
        assert!(picture.contains("M10 0h1v40h-1zM12 0h1v40h-1z"));
    }
}
