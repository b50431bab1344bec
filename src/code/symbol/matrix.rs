//! The modules of a symbol, dark and light.

use std::fmt;

/// A symbol's modules with the quiet zone around them.
///
/// Coordinates count from the upper left corner of the quiet zone. A bar code has one row of modules, to be drawn
/// [`row_height`](Self::row_height) modules high.
#[derive(Clone, PartialEq, Eq)]
pub struct Matrix {
    /// Without the quiet zone.
    columns: usize,
    dark: Vec<bool>,
    row_height: usize,
    quiet_sides: usize,
    quiet_ends: usize,
}

impl Matrix {
    /// A symbol of one row.
    pub(super) fn bars(dark: Vec<bool>, row_height: usize, quiet: usize) -> Self {
        Self {
            columns: dark.len(),
            dark,
            row_height,
            quiet_sides: quiet,
            quiet_ends: 0,
        }
    }

    /// A square symbol of `size` by `size` modules, row after row.
    pub(super) fn square(dark: Vec<bool>, size: usize, quiet: usize) -> Self {
        Self {
            columns: size,
            dark,
            row_height: 1,
            quiet_sides: quiet,
            quiet_ends: quiet,
        }
    }

    /// Modules from left to right, quiet zone included.
    pub fn width(&self) -> usize {
        self.columns + 2 * self.quiet_sides
    }

    /// Rows of modules from top to bottom, quiet zone included.
    pub fn rows(&self) -> usize {
        self.own_rows() + 2 * self.quiet_ends
    }

    /// How many modules high a row is to be drawn: 1 but for bar codes.
    pub fn row_height(&self) -> usize {
        self.row_height
    }

    /// Light modules on the left and on the right, within [`width`](Self::width).
    pub fn quiet_sides(&self) -> usize {
        self.quiet_sides
    }

    /// Light rows at the top and at the bottom, within [`rows`](Self::rows).
    pub fn quiet_ends(&self) -> usize {
        self.quiet_ends
    }

    /// Whether a module is dark. All that is outside is light.
    pub fn is_dark(&self, column: usize, row: usize) -> bool {
        let own = column
            .checked_sub(self.quiet_sides)
            .filter(|column| *column < self.columns)
            .zip(row.checked_sub(self.quiet_ends))
            .and_then(|(column, row)| row.checked_mul(self.columns)?.checked_add(column));
        own.and_then(|at| self.dark.get(at))
            .is_some_and(|dark| *dark)
    }

    /// All modules, row after row, quiet zone included: what crosses to a shell.
    pub fn modules(&self) -> Vec<bool> {
        let rows = 0..self.rows();
        rows.flat_map(|row| (0..self.width()).map(move |column| self.is_dark(column, row)))
            .collect()
    }

    /// The dark runs of a row as column and length, from left to right.
    pub fn runs(&self, row: usize) -> Vec<(usize, usize)> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for column in (0..self.width()).filter(|column| self.is_dark(*column, row)) {
            match runs.last_mut() {
                Some((start, length)) if *start + *length == column => *length += 1,
                _ => runs.push((column, 1)),
            }
        }
        runs
    }

    fn own_rows(&self) -> usize {
        self.dark.len().checked_div(self.columns).unwrap_or(0)
    }
}

/// What a symbol shows is a payment code: its size may be printed, its modules not.
impl fmt::Debug for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matrix({} × {})", self.width(), self.rows())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quiet_zone_is_light_and_part_of_the_size() {
        let matrix = Matrix::square(vec![true, false, true, true], 2, 4);
        assert_eq!(
            (matrix.width(), matrix.rows(), matrix.row_height()),
            (10, 10, 1)
        );
        assert!(matrix.is_dark(4, 4) && !matrix.is_dark(5, 4) && matrix.is_dark(5, 5));
        let dark = matrix.modules().iter().filter(|dark| **dark).count();
        assert_eq!(dark, 3);
        assert_eq!(matrix.runs(5), [(4, 2)]);
        assert!(matrix.runs(0).is_empty());
        for (column, row) in [(0, 0), (6, 4), (3, 4), (4, 6), (usize::MAX, usize::MAX)] {
            assert!(!matrix.is_dark(column, row));
        }
    }

    #[test]
    fn bars_are_one_row_with_quiet_sides() {
        let matrix = Matrix::bars(vec![true, true, false, true], 40, 10);
        assert_eq!(
            (matrix.width(), matrix.rows(), matrix.row_height()),
            (24, 1, 40)
        );
        assert_eq!(matrix.runs(0), [(10, 2), (13, 1)]);
        assert_eq!(matrix.runs(1), []);
    }

    #[test]
    fn nothing_is_no_reason_to_panic() {
        let matrix = Matrix::bars(Vec::new(), 1, 0);
        assert_eq!((matrix.width(), matrix.rows()), (0, 0));
        assert!(matrix.modules().is_empty());
    }
}
