import Network
import SwiftUI
import Tapcore
import TapcoreShell

/// The shell: one wallet, its screens, and the session that lets a reader see it.
@main
struct TapcoreApp: App {
    @State private var parts = Result { try Parts() }
    @Environment(\.scenePhase) private var phase

    var body: some Scene {
        WindowGroup {
            switch parts {
            case .success(let parts):
                WalletScreen(
                    model: parts.model, access: parts.access, tap: parts.tap, wallet: parts.wallet,
                    session: parts.session, maker: parts.maker, code: parts.code, merchant: parts.merchant)
                    .task {
                        parts.model.report(RiskProbe.look())
                        await parts.model.start()
                    }
                    .task {
                        for await path in NWPathMonitor() where path.status == .satisfied {
                            await parts.model.networkIsBack()
                        }
                    }
                    .onChange(of: phase) {
                        if phase == .active { parts.model.report(RiskProbe.look()) }
                    }
            case .failure(let error):
                Text(sentence(error)).padding()
            }
        }
    }
}

/// What lives as long as the process.
@MainActor
struct Parts {
    let wallet: Wallet
    let model: WalletModel
    let access: AccessModel
    let tap: TapModel
    let session: PaymentSession
    let code: CodeModel
    let merchant: MerchantModel
    private let prompt: EnclavePrompt

    /// For passing one card on to Apple Wallet.
    func maker(_ card: PaymentCard) -> MakerModel { MakerModel(wallet: wallet, prompt: prompt, card: card) }

    init() throws {
        let config = WalletConfig(
            dataDir: try Self.folder().path,
            appVersion: Bundle.main.object(forInfoDictionaryKey: "CFBundleShortVersionString") as? String ?? "0",
            production: true)
        let keys = EnclaveKeyStore()
        wallet = try Wallet(config: config, keyStore: keys, clock: DeviceClock())
        prompt = EnclavePrompt(keys: keys)
        access = AccessModel(wallet: wallet, prompt: prompt)
        tap = TapModel(wallet: wallet, prompt: prompt)
        code = CodeModel(wallet: wallet, prompt: prompt)
        merchant = MerchantModel(wallet: wallet)
        session = PaymentSession(relay: CardRelay(wallet: wallet))
        model = WalletModel(wallet: wallet) { [tap, session] event in
            tap.heed(event)
            session.heed(event)
        }
    }

    /// Readable from the first unlock on, because a tap may come while the phone is locked; in no backup.
    private static func folder() throws -> URL {
        var folder = URL.applicationSupportDirectory.appending(path: "wallet", directoryHint: .isDirectory)
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true,
            attributes: [.protectionKey: FileProtectionType.completeUntilFirstUserAuthentication])
        var values = URLResourceValues()
        values.isExcludedFromBackup = true
        try folder.setResourceValues(values)
        return folder
    }
}
