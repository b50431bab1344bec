import PassKit
import SwiftUI
import Tapcore
import TapcoreShell

/// Adds a card to Apple Wallet. The system shows it to apps with Apple's entitlement for in-app provisioning only.
struct MakerScreen: View {
    @State var model: MakerModel
    @State private var isShown = false
    @Environment(\.dismiss) private var dismiss

    static var isPossible: Bool { PKAddPaymentPassViewController.canAddPaymentPass() }

    var body: some View {
        Form {
            ProblemLine(problem: model.problem)
            SecureField("PIN, where no finger or face is set up", text: $model.pin).keyboardType(.numberPad)
            Button("Add \(model.card.bank) \(model.card.maskedCard) to Apple Wallet") {
                Task {
                    await model.prepare()
                    isShown = model.isReady
                }
            }
        }
        .privacySensitive()
        .sheet(isPresented: $isShown) {
            MakerSheet(model: model) { isAdded in
                isShown = false
                if isAdded { dismiss() }
            }
        }
    }
}

/// The system's own sheet.
private struct MakerSheet: UIViewControllerRepresentable {
    let model: MakerModel
    let done: @MainActor (Bool) -> Void

    func makeCoordinator() -> Coordinator { Coordinator(model: model, done: done) }

    func makeUIViewController(context: Context) -> UIViewController {
        let card = model.card
        guard let configuration = PKAddPaymentPassRequestConfiguration(encryptionScheme: .ECC_V2) else {
            return UIViewController()
        }
        configuration.primaryAccountSuffix = String(card.maskedCard.suffix(4))
        configuration.localizedDescription = card.bank
        let sheet = PKAddPaymentPassViewController(requestConfiguration: configuration, delegate: context.coordinator)
        return sheet ?? UIViewController()
    }

    func updateUIViewController(_ controller: UIViewController, context: Context) {}

    @MainActor
    final class Coordinator: NSObject, PKAddPaymentPassViewControllerDelegate {
        private let model: MakerModel
        private let done: @MainActor (Bool) -> Void

        init(model: MakerModel, done: @escaping @MainActor (Bool) -> Void) {
            (self.model, self.done) = (model, done)
        }

        func addPaymentPassViewController(
            _ controller: PKAddPaymentPassViewController, generateRequestWithCertificateChain certificates: [Data],
            nonce: Data, nonceSignature: Data, completionHandler handler: @escaping (PKAddPaymentPassRequest) -> Void
        ) {
            let request = PKAddPaymentPassRequest()
            // Without a key, and where the wallet refuses, the system hears an empty request and says that it failed.
            guard let key = certificates.first.flatMap(publicKey) else { return handler(request) }
            let ask = MakerAsk(maker: "apple", makerKey: key, nonce: nonce, makerSignature: nonceSignature)
            Task {
                if let pass = await model.pass(ask) {
                    request.encryptedPassData = pass.ciphertext
                    request.ephemeralPublicKey = pass.encapsulatedKey
                    // The activation lies inside the encrypted data.
                    request.activationData = Data()
                }
                handler(request)
            }
        }

        func addPaymentPassViewController(
            _ controller: PKAddPaymentPassViewController, didFinishAdding pass: PKPaymentPass?, error: Error?
        ) {
            done(pass != nil)
        }
    }
}

/// The P-256 key of a certificate, SEC1 uncompressed.
private func publicKey(_ certificate: Data) -> Data? {
    guard let leaf = SecCertificateCreateWithData(nil, certificate as CFData), let key = SecCertificateCopyKey(leaf)
    else { return nil }
    return SecKeyCopyExternalRepresentation(key, nil) as Data?
}
