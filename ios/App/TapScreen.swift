import SwiftUI
import TapcoreShell

/// Asks the person for a payment that a reader wants, and has the phone held to it again.
struct TapScreen: View {
    @State var model: TapModel
    /// Shows the card to readers.
    let pay: () -> Void

    var body: some View {
        NavigationStack {
            Form {
                ProblemLine(problem: model.problem)
                Text(model.wanted?.sentence ?? "").font(.headline)
                if model.isPermitted {
                    Button("Hold the phone to the reader again") { pay() }
                } else {
                    if model.canHaveBiometry {
                        Button("Pay with finger or face") { Task { await model.permitWithBiometry() } }
                    }
                    SecureField("PIN", text: $model.pin).keyboardType(.numberPad)
                    Button("Pay with the PIN") { Task { await model.permitWithPin() } }
                }
                Button("Do not pay", role: .cancel) { model.dismiss() }
            }
            .disabled(model.isBusy)
            .privacySensitive()
            .navigationTitle("Payment")
        }
    }
}
