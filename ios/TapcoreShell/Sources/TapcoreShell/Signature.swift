import Foundation

/// The Secure Enclave signs in DER, `30 len 02 len r 02 len s`; the core wants r and s of 32 bytes each.
/// Nil when `der` has another form.
public func fixedSignature(der: Data) -> Data? {
    let bytes = [UInt8](der)
    guard bytes.count >= 8, bytes[0] == 0x30, Int(bytes[1]) == bytes.count - 2,
        let (r, afterR) = integer(bytes, at: 2), let (s, afterS) = integer(bytes, at: afterR),
        afterS == bytes.count
    else { return nil }
    return r + s
}

/// A positive DER integer as 32 bytes, and where the next object begins.
private func integer(_ bytes: [UInt8], at start: Int) -> (Data, Int)? {
    guard start + 2 <= bytes.count, bytes[start] == 0x02 else { return nil }
    let end = start + 2 + Int(bytes[start + 1])
    guard end <= bytes.count, end > start + 2, bytes[start + 2] < 0x80 else { return nil }
    let digits = bytes[(start + 2)..<end].drop { $0 == 0 }
    guard digits.count <= 32 else { return nil }
    return (Data(repeating: 0, count: 32 - digits.count) + Data(digits), end)
}
