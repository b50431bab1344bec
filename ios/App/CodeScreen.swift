import Accessibility
import SwiftUI
import Tapcore
import TapcoreShell

/// A payment code for a shop's scanner: it lives as long as this screen is seen.
struct CodeScreen: View {
    @State var model: CodeModel
    @State private var kind = CodeKind.numeric
    /// How often it was tried again.
    @State private var tries = 0
    @State private var brightness: CGFloat?
    @Environment(\.scenePhase) private var phase

    private let screenshots = NotificationCenter.default.notifications(
        named: UIApplication.userDidTakeScreenshotNotification)

    var body: some View {
        NavigationStack {
            GeometryReader { window in
                ScrollView {
                    ProblemLine(problem: model.problem)
                    if let shown = model.shown {
                        face(shown, windowHeight: window.size.height)
                    } else if model.canTryAgain {
                        Button("Try again") { tries += 1 }
                    }
                    SecureField("PIN, where no finger or face is set up", text: $model.pin).keyboardType(.numberPad)
                    Picker("What is shown", selection: $kind) {
                        Text("Digits").tag(CodeKind.numeric)
                        Text("The card's own code").tag(CodeKind.consumerPresented)
                    }
                    .pickerStyle(.segmented)
                    .disabled(model.isBusy || model.shown?.waiting != nil)
                }
                .padding()
            }
            .privacySensitive()
            .navigationTitle("Payment code")
        }
        // No picture of it with a code on it.
        .curtained()
        // Begins anew with the other kind, at another try, or when the app comes back.
        .task(id: Showing(kind: kind, tries: tries, isSeen: phase != .background)) {
            if phase != .background { await model.run(kind) } else { hide() }
        }
        .task {
            for await _ in screenshots { await model.photographed() }
        }
        .onAppear { brighten() }
        .onDisappear {
            dim()
            hide()
        }
        .onChange(of: phase) { phase == .active ? brighten() : dim() }
        .onChange(of: model.shown?.state == .showing) { stayAwake() }
    }

    @ViewBuilder
    private func face(_ shown: CodeShown, windowHeight: CGFloat) -> some View {
        VStack {
            if let qr = model.qr {
                SymbolPicture(symbol: qr, windowHeight: windowHeight).accessibilityLabel("Payment code")
            }
            if let bars = model.bars {
                SymbolPicture(symbol: bars, windowHeight: windowHeight).accessibilityLabel("Payment code, as a bar code")
            }
            Standing(shown: shown)
        }
        .contentShape(Rectangle())
        .onTapGesture { Task { await model.touch() } }
        if !shown.digits.isEmpty { Digits(shown: shown) { await model.reveal() } }
        if shown.waiting != nil {
            PasswordConfirmation(password: $model.password) { await model.confirm() }.disabled(model.isBusy)
        }
    }

    /// Also where the app is put to sleep meanwhile: the provider hears that the code is closed.
    private func hide() {
        let system = UIApplication.shared
        let time = system.beginBackgroundTask(withName: "Closing a payment code")
        Task {
            await model.hide()
            system.endBackgroundTask(time)
        }
    }

    /// The person's own setting comes back with `dim`.
    private func brighten() {
        if brightness == nil { brightness = UIScreen.main.brightness }
        UIScreen.main.brightness = 1
        stayAwake()
    }

    /// The screen stays on while a scanner is waited for.
    private func stayAwake() {
        UIApplication.shared.isIdleTimerDisabled = model.shown?.state == .showing
    }

    private func dim() {
        if let brightness { UIScreen.main.brightness = brightness }
        brightness = nil
        UIApplication.shared.isIdleTimerDisabled = false
    }
}

/// What a showing depends on.
private struct Showing: Equatable {
    let kind: CodeKind
    let tries: Int
    let isSeen: Bool
}

/// What is said under the code. Each state is read out, and not each second.
private struct Standing: View {
    let shown: CodeShown

    var body: some View {
        Text(sentence(shown)).onChange(of: shown.state) {
            AccessibilityNotification.Announcement(sentence(shown)).post()
        }
    }
}

/// The digits under the code, masked until they are touched by somebody who is verified.
private struct Digits: View {
    let shown: CodeShown
    let reveal: @MainActor () async -> Void

    var body: some View {
        if shown.revealed {
            Text(shown.digits).font(.title3.monospacedDigit()).speechSpellsOutCharacters()
        } else {
            Button {
                Task { await reveal() }
            } label: {
                VStack {
                    Text(shown.digits).font(.title3.monospacedDigit())
                    Text("Touch to show the digits.").font(.footnote)
                }
            }
            .accessibilityLabel("Show the digits")
        }
    }
}

/// A symbol of whole pixels on white, as large as there is room.
private struct SymbolPicture: View {
    let symbol: CodeSymbol
    let windowHeight: CGFloat
    @Environment(\.displayScale) private var scale
    @State private var room: CGFloat = 0

    var body: some View {
        let grid = SymbolGrid(symbol, available: Int(room * scale), windowHeight: Int(windowHeight * scale))
        Canvas { context, _ in
            context.withCGContext { pixels in
                pixels.setShouldAntialias(false)
                pixels.scaleBy(x: 1 / scale, y: 1 / scale)
                pixels.setFillColor(UIColor.white.cgColor)
                pixels.fill(CGRect(x: 0, y: 0, width: grid.width, height: grid.height))
                pixels.setFillColor(UIColor.black.cgColor)
                pixels.fill(grid.dark.map { CGRect(x: $0.x, y: $0.y, width: $0.width, height: $0.height) })
            }
        }
        .frame(width: CGFloat(grid.width) / scale, height: CGFloat(grid.height) / scale)
        .accessibilityElement()
        .frame(maxWidth: .infinity)
        .background(
            GeometryReader { place in
                Color.clear
                    .onAppear { room = place.size.width }
                    .onChange(of: place.size.width) { room = place.size.width }
            })
    }
}
