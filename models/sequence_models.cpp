#include "models/sequence_models.h"

namespace warptape {

Registry<SequenceModel>& sequence_models() {
  static Registry<SequenceModel> all("model", {tcn_model()});
  return all;
}

}  // namespace warptape
