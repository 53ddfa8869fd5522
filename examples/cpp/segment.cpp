// Labels from a network's output, without Python: segment OUTPUT.pt LABELS.pt
//
// OUTPUT.pt: torch.save({"embedding": [B, D, H, W], "distance": [B, H, W]}, ...); LABELS.pt is for torch.load.
#include <embedseg_ops.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <vector>

namespace {

void segment(const char* from, const char* to) {
  std::ifstream file(from, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  const auto output = torch::jit::pickle_load(bytes).toGenericDict();

  embedseg_ops::PostprocessOptions options;
  options.seed_smoothing = 1.0;
  options.min_seed_size = 5;
  options.background_threshold = 0.05;
  options.max_cosine_distance = 1.0;
  const at::Tensor labels =
      embedseg_ops::postprocess(output.at("embedding").toTensor(), output.at("distance").toTensor(), options);

  std::cout << labels.max().item<int64_t>() << " objects\n";
  const std::vector<char> saved = torch::jit::pickle_save(labels);
  std::ofstream(to, std::ios::binary).write(saved.data(), static_cast<std::streamsize>(saved.size()));
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::cerr << "usage: segment OUTPUT.pt LABELS.pt\n";
    return 2;
  }
  try {
    segment(arguments[1], arguments[2]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
