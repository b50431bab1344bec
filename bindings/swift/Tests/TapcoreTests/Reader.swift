import Foundation

/// As much of a contactless reader as one payment takes: data objects of one or two bytes of tag, and a
/// terminal in China that wants 12.50 yuan.
struct Reader {
    static let ppse = Data("2PAY.SYS.DDF01".utf8)

    /// What the reader says for each tag that the card's data-object list may ask for.
    private let values: [UInt16: [UInt8]] = [
        0x9F66: [0x36, 0x00, 0x00, 0x00],
        0x9F02: [0x00, 0x00, 0x00, 0x00, 0x12, 0x50],
        0x9F1A: [0x01, 0x56],
        0x5F2A: [0x01, 0x56],
        0x9A: [0x26, 0x11, 0x22],
        0x9F37: [UInt8](random(4)),
        0x9F4E: [UInt8]("Mapo Tofu House     ".utf8),
    ]

    func select(_ name: Data) -> Data {
        Data([0x00, 0xA4, 0x04, 0x00, UInt8(name.count)]) + name + Data([0x00])
    }

    /// GET PROCESSING OPTIONS with what the card's list asks for, in its order.
    func processingOptions(_ list: Data) -> Data {
        var data: [UInt8] = []
        var rest = [UInt8](list)[...]
        while let tag = Self.tag(&rest), let length = rest.popFirst() {
            let value = values[tag] ?? []
            data += (value + [UInt8](repeating: 0, count: Int(length))).prefix(Int(length))
        }
        return Data([0x80, 0xA8, 0x00, 0x00, UInt8(data.count + 2), 0x83, UInt8(data.count)] + data + [0x00])
    }

    /// READ RECORD for everything that an application file locator names.
    func records(_ locator: Data) -> [Data] {
        let bytes = [UInt8](locator)
        return stride(from: 0, to: bytes.count - 3, by: 4).flatMap { at in
            (bytes[at + 1]...bytes[at + 2]).map { number in
                Data([0x00, 0xB2, number, (bytes[at] & 0xF8) | 0x04, 0x00])
            }
        }
    }

    /// The first value under `wanted`, looked for inside templates as well.
    static func find(_ wanted: UInt16, in data: Data) -> Data? {
        var rest = [UInt8](data)[...]
        while let first = rest.first, let tag = tag(&rest), let length = length(&rest), length <= rest.count {
            let value = Data(rest.prefix(length))
            rest = rest.dropFirst(length)
            if tag == wanted { return value }
            if first & 0x20 != 0, let found = find(wanted, in: value) { return found }
        }
        return nil
    }

    private static func tag(_ rest: inout ArraySlice<UInt8>) -> UInt16? {
        guard let first = rest.popFirst() else { return nil }
        if first & 0x1F != 0x1F { return UInt16(first) }
        return rest.popFirst().map { UInt16(first) << 8 | UInt16($0) }
    }

    private static func length(_ rest: inout ArraySlice<UInt8>) -> Int? {
        guard let first = rest.popFirst() else { return nil }
        if first < 0x80 { return Int(first) }
        return first == 0x81 ? rest.popFirst().map(Int.init) : nil
    }
}
