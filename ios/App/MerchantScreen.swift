import SwiftUI
import TapcoreShell

/// Pays a shop's code, given as the text that a camera reads. Which camera and which decoder is the app's own choice
/// (VisionKit's `DataScannerViewController` is the system's): it sets `model.code` and has it read.
struct MerchantScreen: View {
    @State var model: MerchantModel

    var body: some View {
        NavigationStack {
            Form {
                ProblemLine(problem: model.problem)
                TextField("The shop's code, as its text", text: $model.code)
                    .textInputAutocapitalization(.never)
                    .autocorrectionDisabled()
                Button("Read it") { Task { await model.read() } }
                if let offer = model.offer {
                    Text(sentence(offer)).font(.headline)
                    if let payment = model.payment {
                        Text(sentence(payment)).announced(sentence(payment))
                        if payment.wantsPassword {
                            PasswordConfirmation(password: $model.password) { await model.confirm() }
                        }
                    }
                    if model.wantsAmount {
                        TextField("Amount, such as 12.50", text: $model.amount).keyboardType(.decimalPad)
                    }
                    if let lost = model.lostAmountMinor {
                        let line = unanswered(offer, amountMinor: lost)
                        Text(line).announced(line)
                        Button("Ask again about \(money(minor: lost, currency: offer.currency))") {
                            Task { await model.pay() }
                        }
                    } else if model.canPay {
                        Button(model.payment == nil ? "Pay" : "Look again") { Task { await model.pay() } }
                    }
                    if model.isOpen { Button("Give up") { Task { await model.giveUp() } } }
                }
            }
            .disabled(model.isBusy)
            .privacySensitive()
            .navigationTitle("Pay a shop's code")
        }
        .curtained()
        // What comes of it is to be seen.
        .interactiveDismissDisabled(model.isBusy)
        .task { await model.open() }
        .onDisappear { model.leave() }
    }
}
