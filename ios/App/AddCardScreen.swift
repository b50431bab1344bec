import SwiftUI
import TapcoreShell

/// Adds a bank card: number and expiry, then the code that the bank sends.
struct AddCardScreen: View {
    @State var model: AddCardModel
    @Environment(\.dismiss) private var dismiss

    var body: some View {
        NavigationStack {
            Form {
                if let challenge = model.challenge {
                    Text("\(challenge.bank) sent a code for \(challenge.maskedCard).")
                    TextField("Code from your bank", text: $model.code)
                        .keyboardType(.numberPad)
                        .textContentType(.oneTimeCode)
                    Button("Add the card") { Task { await model.finish() } }
                } else {
                    TextField("Card number", text: $model.number)
                        .keyboardType(.numberPad)
                        .textContentType(.creditCardNumber)
                    TextField("Expiry, MM/YY", text: $model.expiry)
                        .keyboardType(.numbersAndPunctuation)
                    Button("Ask the bank for a code") { Task { await model.begin() } }
                }
                ProblemLine(problem: model.problem)
            }
            .disabled(model.isBusy)
            .privacySensitive()
            .navigationTitle("Add a card")
        }
        .curtained()
        .task { await model.resume() }
        .onChange(of: model.card) { dismiss() }
    }
}
