import Tapcore

/// A symbol as rectangles of device pixels. Each module is a whole number of pixels, since grey edges are misread. The light
/// ones, quiet zone included, are the background, which is to be drawn as well: on a dark screen no scanner finds the symbol
/// otherwise.
public struct SymbolGrid: Equatable, Sendable {
    public struct Run: Equatable, Sendable {
        public let x: Int
        public let y: Int
        public let width: Int
        public let height: Int
    }

    /// The fewest pixels to a module: with fewer, scanners that see it a little blurred do not read it.
    public static let least = 3

    public let width: Int
    public let height: Int
    /// The dark parts, from the upper left.
    public let dark: [Run]

    /// As wide as `available` pixels allow. A square one is to be seen whole in its window, with room for what is said under it.
    public init(_ symbol: CodeSymbol, available: Int, windowHeight: Int = .max) {
        let modules = Int(symbol.width)
        let room = symbol.rows == symbol.width ? min(available, windowHeight / 10 * 6) : available
        let scale = max(room / max(modules, 1), Self.least)
        let rowHeight = Int(symbol.rowHeight) * scale
        var dark: [Run] = []
        for row in 0..<Int(symbol.rows) {
            var column = 0
            let line = [UInt8](symbol.modules.dropFirst(row * modules).prefix(modules))
            while column < line.count {
                let end = line[column...].firstIndex { $0 != line[column] } ?? line.count
                if line[column] == 1 {
                    dark.append(
                        Run(x: column * scale, y: row * rowHeight, width: (end - column) * scale, height: rowHeight))
                }
                column = end
            }
        }
        (width, height, self.dark) = (modules * scale, Int(symbol.rows) * rowHeight, dark)
    }
}
