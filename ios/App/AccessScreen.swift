import SwiftUI
import TapcoreShell

/// Locks and unlocks the wallet, and sets PIN, finger and face up.
struct AccessScreen: View {
    @State var model: AccessModel

    var body: some View {
        NavigationStack {
            Form {
                ProblemLine(problem: model.problem)
                if let tries = model.triesLeft {
                    Text("The PIN has \(tries) tries left.")
                }
                if model.waitSeconds > 0 {
                    Text("Wait \(model.waitSeconds) seconds before the next try.")
                }
                if model.biometryIsVoid {
                    Text("The phone's fingers or faces have changed: set yours up again.")
                }
                Section {
                    SecureField("PIN", text: $model.pin).keyboardType(.numberPad)
                    Button("Lock") { Task { await model.lock() } }
                        .disabled(model.isLocked)
                    Button("Unlock with the PIN") { Task { await model.unlockWithPin() } }
                    if model.hasBiometry {
                        Button("Unlock with finger or face") { Task { await model.unlockWithBiometry() } }
                    }
                }
                Section("Change") {
                    SecureField("New PIN, 6 to 12 digits", text: $model.newPin).keyboardType(.numberPad)
                    Button("Set the new PIN") { Task { await model.setPin() } }
                    if model.canHaveBiometry {
                        Button("Set up finger or face") { Task { await model.setUpBiometry() } }
                    }
                }
            }
            .disabled(model.isBusy)
            .privacySensitive()
            .navigationTitle("Lock")
        }
        .task { await model.refresh() }
    }
}
