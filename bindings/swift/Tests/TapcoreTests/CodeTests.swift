import Foundation
import XCTest

@testable import Tapcore

/// Payment codes from Swift: shown, scanned, revealed, closed, drawn; and a shop's code, read and paid.
final class CodeTests: SandboxTestCase {
    private static let pin = "194917"

    func testAShopScansWhatIsShownAndTheViewSaysSoByItself() async throws {
        let wallet = try await walletWithCodes()
        let view = try await wallet.showCode(kind: .numeric)
        let shown = try await showing(view)
        XCTAssertEqual(shown.code.count, 18)
        XCTAssertTrue(shown.code.hasPrefix("73"))
        XCTAssertEqual(shown.digits.prefix(4), shown.code.prefix(4))
        XCTAssertFalse(shown.digits.dropFirst(4).contains(where: \.isNumber))
        XCTAssertTrue((1...30).contains(shown.secondsLeft))
        XCTAssertEqual("\(shown)", "CodeShown")

        let receipt = try sandbox.scan(shown.code, amount: "12.50")
        XCTAssertEqual(receipt.result, "approved")
        let used = try await next(view) { Self.payment($0)?.state == .approved }
        XCTAssertEqual(Self.payment(used)?.amountMinor, 1250)

        try await view.renew()
        let fresh = try await showing(view)
        XCTAssertNotEqual(Self.alias(fresh), Self.alias(shown))
    }

    func testACodeThatWasClosedPaysNoMore() async throws {
        let wallet = try await walletWithCodes()
        let view = try await wallet.showCode(kind: .numeric)
        let shown = try await showing(view)
        try await view.end()
        let last = try await next(view) { $0.state != .showing }
        XCTAssertEqual(last.state, .ended(why: .closed))
        let over = try await view.next()
        XCTAssertNil(over)
        let receipt = try sandbox.scan(shown.code, amount: "12.50")
        XCTAssertEqual(receipt.result, "declined")
        XCTAssertEqual(receipt.reason, "code_void")
    }

    func testDigitsAreSeenByWhoWasVerified() async throws {
        let wallet = try await walletWithCodes()
        try await wallet.setPin(pin: Self.pin, proof: nil)
        let view = try await wallet.showCode(kind: .numeric)
        let masked = try await showing(view)
        try await view.reveal(verificationId: try await wallet.verifyWithPin(pin: Self.pin, purpose: .access))
        let clear = try await next(view) { $0.revealed && $0.state == .showing }
        XCTAssertEqual(clear.digits, clear.code)
        XCTAssertNotEqual(Self.alias(clear), Self.alias(masked))
        let receipt = try sandbox.scan(masked.code, amount: "12.50")
        XCTAssertEqual(receipt.reason, "code_void")
    }

    func testAScreenshotEndsTheCodeAndTheNextOneAsksForThePerson() async throws {
        let wallet = try await walletWithCodes()
        try await wallet.setPin(pin: Self.pin, proof: nil)
        let view = try await wallet.showCode(kind: .numeric)
        let shown = try await showing(view)
        try await view.photographed()
        let ended = try await next(view) { $0.state != .showing }
        XCTAssertEqual(ended.state, .ended(why: .photographed))
        do {
            try await view.renew()
            XCTFail("a code was shown to nobody")
        } catch WalletError.NotVerified {}
        do {
            _ = try await wallet.showCode(kind: .numeric)
            XCTFail("a code was shown to nobody")
        } catch WalletError.NotVerified {}
        try await view.renew(verificationId: try await wallet.verifyWithPin(pin: Self.pin, purpose: .access))
        let fresh = try await showing(view)
        XCTAssertNotEqual(Self.alias(fresh), Self.alias(shown))
        let receipt = try sandbox.scan(shown.code, amount: "12.50")
        XCTAssertEqual(receipt.reason, "code_void")
    }

    func testAConsumerPresentedCodeIsShownAndPaid() async throws {
        let wallet = try await enrolledWallet()
        let card = try await addCard(wallet, "6228480000000015")
        let view = try await wallet.showCode(kind: .consumerPresented, tokenRef: card.tokenRef)
        let shown = try await showing(view)
        XCTAssertEqual(shown.kind, .consumerPresented)
        // Payload format indicator: tag 85, five bytes.
        let code = try XCTUnwrap(Data(base64Encoded: shown.code))
        XCTAssertEqual([UInt8](code.prefix(7)), [0x85, 0x05] + Array("CPV01".utf8))
        XCTAssertEqual(shown.digits, "")
        let receipt = try sandbox.scan(shown.code, amount: "12.50")
        XCTAssertEqual(receipt.result, "approved")
        let used = try await next(view) { Self.payment($0)?.state == .approved }
        XCTAssertEqual(Self.payment(used)?.amountMinor, 1250)
    }

    func testAShopsCodeIsReadAndPaidOnce() async throws {
        let wallet = try await enrolledWallet()
        let card = try await addCard(wallet, "6228480000000015")
        let code = try sandbox.request(amount: "38.00")
        let offer = try await wallet.readMerchantCode(code: code)
        XCTAssertFalse(offer.payee.isEmpty)
        XCTAssertEqual(offer.amountMinor, 3800)
        XCTAssertEqual(offer.currency, "CNY")
        XCTAssertTrue(offer.once)

        do {
            _ = try await wallet.payMerchant(offer: offer, amountMinor: 3801)
            XCTFail("the code says another amount")
        } catch WalletError.Invalid {}
        let paid = try await wallet.payMerchant(offer: offer, amountMinor: 3800)
        XCTAssertEqual(paid.state, .approved)
        XCTAssertEqual(paid.tokenRef, card.tokenRef)
        XCTAssertEqual(paid.merchant, offer.payee)
        // As after a lost answer.
        let again = try await wallet.payMerchant(offer: offer, amountMinor: 3800)
        XCTAssertEqual(again.paymentId, paid.paymentId)

        do {
            let damaged = String(code.dropLast()) + (code.hasSuffix("0") ? "1" : "0")
            _ = try await wallet.readMerchantCode(code: damaged)
            XCTFail("a damaged code was read")
        } catch WalletError.Invalid {}
    }

    func testNoCodeIsShownThatWasNeverFetched() async throws {
        let wallet = try await enrolledWallet()
        _ = try await addCard(wallet, "6228480000000015")
        sandbox.stop()
        let left = try await wallet.status().codesLeft
        // What was fetched beside adding the card is shown first.
        for _ in 0..<left { _ = try await wallet.showCode(kind: .numeric) }
        do {
            _ = try await wallet.showCode(kind: .numeric)
            XCTFail("a code came from nowhere")
        } catch let error as WalletError {
            guard case .CodesUnavailable(let reason, let detail) = error else { return XCTFail("\(error)") }
            XCTAssertTrue([.noneLeft, .neverFetched].contains(reason))
            XCTAssertFalse(detail.isEmpty)
            XCTAssertEqual(error.code(), 16)
        }
    }

    func testSymbolsHaveTheirQuietZones() throws {
        let qr = try qrSymbol(code: "737394850263403002")
        XCTAssertEqual([qr.width, qr.rows, qr.rowHeight], [29, 29, 1])
        XCTAssertEqual(qr.modules.count, 29 * 29)
        XCTAssertFalse(qr.modules.prefix(4 * 29).contains(1))
        XCTAssertEqual(qr.modules[4 * 29 + 4], 1)
        XCTAssertTrue(qr.svg.hasPrefix("<svg"))

        let bars = try barcodeSymbol(code: "737394850263403002")
        XCTAssertEqual([bars.width, bars.rows], [154, 1])
        XCTAssertFalse(bars.modules.prefix(10).contains(1))
        XCTAssertEqual(bars.modules[10], 1)
        XCTAssertThrowsError(try barcodeSymbol(code: "hQVDUFYwMQ=="))
        XCTAssertEqual("\(bars)", "CodeSymbol")
    }

    private func walletWithCodes() async throws -> Wallet {
        let wallet = try await enrolledWallet()
        _ = try await addCard(wallet, "6228480000000015")
        _ = try await wallet.refillCodes()
        let status = try await wallet.status()
        XCTAssertEqual(status.codesLeft, 15)
        return wallet
    }

    private func showing(_ view: CodeView) async throws -> CodeShown {
        try await next(view) { $0.state == .showing }
    }

    /// What the view shows once it is as wanted. It is asked no more often than it tells.
    private func next(_ view: CodeView, _ isWanted: (CodeShown) -> Bool) async throws -> CodeShown {
        while let shown = try await view.next() {
            if isWanted(shown) { return shown }
        }
        throw Sandbox.Failed(description: "the view was over before")
    }

    /// The part of a code that lives for one showing.
    private static func alias(_ shown: CodeShown) -> Substring { shown.code.dropFirst(2).prefix(10) }

    private static func payment(_ shown: CodeShown) -> CodePayment? {
        guard case .used(let payment) = shown.state else { return nil }
        return payment
    }
}
