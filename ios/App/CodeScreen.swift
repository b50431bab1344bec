import SwiftUI
import Tapcore
import TapcoreShell

/// A payment code for a shop's scanner: it lives as long as this screen is seen.
struct CodeScreen: View {
    @State var model: CodeModel
    @State private var kind = CodeKind.numeric
    @State private var brightness: CGFloat?
    @Environment(\.scenePhase) private var phase

    private let screenshots = NotificationCenter.default.notifications(
        named: UIApplication.userDidTakeScreenshotNotification)

    var body: some View {
        NavigationStack {
            ScrollView {
                if let problem = model.problem {
                    Text(problem).foregroundStyle(.red)
                }
                // In the list of recent apps a picture of the screen is kept: none with a code on it.
                if phase == .active, let shown = model.shown {
                    face(shown)
                }
                SecureField("PIN, where no finger or face is set up", text: $model.pin).keyboardType(.numberPad)
                Picker("What is shown", selection: $kind) {
                    Text("Digits").tag(CodeKind.numeric)
                    Text("The card's own code").tag(CodeKind.consumerPresented)
                }
                .pickerStyle(.segmented)
            }
            .padding()
            .privacySensitive()
            .navigationTitle("Payment code")
        }
        // Ends with the screen, and begins anew with the other kind or when the app comes back.
        .task(id: Showing(kind: kind, isSeen: phase != .background)) {
            if phase != .background { await model.run(kind) } else { await model.close() }
        }
        .task {
            for await _ in screenshots { await model.photographed() }
        }
        .onAppear { brighten() }
        .onDisappear {
            dim()
            Task { await model.close() }
        }
        .onChange(of: phase) { phase == .active ? brighten() : dim() }
    }

    @ViewBuilder
    private func face(_ shown: CodeShown) -> some View {
        VStack {
            if let qr = model.qr { SymbolPicture(symbol: qr) }
            if let bars = model.bars { SymbolPicture(symbol: bars) }
            Text(sentence(shown))
        }
        .contentShape(Rectangle())
        .onTapGesture { Task { await model.touch() } }
        Button(shown.digits) { Task { await model.reveal() } }
            .font(.title3.monospacedDigit())
        if shown.waiting != nil {
            SecureField("Payment password", text: $model.password)
            Button("Confirm the payment") { Task { await model.confirm() } }
        }
    }

    /// The person's own setting comes back with `dim`.
    private func brighten() {
        if brightness == nil { brightness = UIScreen.main.brightness }
        UIScreen.main.brightness = 1
    }

    private func dim() {
        if let brightness { UIScreen.main.brightness = brightness }
        brightness = nil
    }
}

/// What a showing depends on.
private struct Showing: Equatable {
    let kind: CodeKind
    let isSeen: Bool
}

/// A symbol of whole pixels on white, as wide as there is room.
private struct SymbolPicture: View {
    let symbol: CodeSymbol
    @Environment(\.displayScale) private var scale
    @State private var room: CGFloat = 0

    var body: some View {
        let grid = SymbolGrid(symbol, available: Int(room * scale))
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
        .frame(maxWidth: .infinity)
        .background(
            GeometryReader { place in
                Color.clear
                    .onAppear { room = place.size.width }
                    .onChange(of: place.size.width) { room = place.size.width }
            })
    }
}
