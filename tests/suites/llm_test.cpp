// A paged decoder on every device against what Hugging Face transformers generates greedily
// (tests/models/greedy.json), sequences of different lengths in one batch.

#include <carnot/llm.h>
#include <carnot/report.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "devices/device.h"

namespace carnot {
namespace {

struct Case {
  std::vector<int32_t> prompt, tokens;
};

std::vector<Case> casesOf(const std::string& model) {
  std::ifstream file("tests/models/greedy.json");
  const nlohmann::json all = nlohmann::json::parse(file);
  std::vector<Case> cases;
  for (const auto& entry : all.at(model))
    cases.push_back({entry.at("prompt"), entry.at("tokens")});
  return cases;
}

Engine decoderOn(const std::string& device, const std::string& model, DType type = DType::F32) {
  CheckpointOptions checkpoint;
  checkpoint.type = checkpoint.cacheType = type;
  BuildOptions options;
  options.device = device;
  options.timingCache = "none";
  options.tf32 = false;
  return build(convertCheckpoint("models/" + model, checkpoint), options);
}

// Caches of one engine, in the device's memory or the host's, and the blocks that sequences have.
class Decoder {
 public:
  static constexpr int64_t kBlocks = 64, kBlockSize = 16, kBlocksOfSequence = 16;

  Decoder(const Engine& engine, const std::string& device, bool onDevice)
      : context_(engine.createContext()), device_(openDevice(deviceTraits(device, 2))) {
    for (const TensorInfo& state : engine.states()) {
      std::vector<int64_t> dims = {kBlocks};
      for (size_t axis = 1; axis < state.dims.size(); ++axis)
        dims.push_back(std::stoll(state.dims[axis]));
      const size_t bytes = dtypeBytes(
          state.dtype, std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>()));
      caches_.push_back(onDevice ? device_->allocate(bytes) : Buffer::allocate(bytes));
      context_.setStateShape(state.name, dims);
      context_.setState(state.name, caches_.back()->data());
    }
  }

  // Runs every sequence's tokens that are not cached yet; the logits behind each one's last.
  std::vector<std::vector<float>> step(const std::vector<std::vector<int32_t>>& sequences) {
    cached_.resize(sequences.size());
    std::vector<int32_t> ids, positions, tables, starts = {0}, lengths, rows;
    for (size_t s = 0; s < sequences.size(); ++s) {
      for (auto at = cached_[s]; at < sequences[s].size(); ++at) {
        ids.push_back(sequences[s][at]);
        positions.push_back(static_cast<int32_t>(at));
      }
      cached_[s] = sequences[s].size();
      starts.push_back(static_cast<int32_t>(ids.size()));
      rows.push_back(starts.back() - 1);
      lengths.push_back(static_cast<int32_t>(cached_[s]));
      // Blocks of sequences lie between each other.
      for (int64_t i = 0; i < kBlocksOfSequence; ++i)
        tables.push_back(static_cast<int32_t>(
            (i * static_cast<int64_t>(sequences.size()) + static_cast<int64_t>(s)) % kBlocks));
    }
    const auto sequenceCount = static_cast<int64_t>(sequences.size());
    set("token_ids", ids, {static_cast<int64_t>(ids.size())});
    set("positions", positions, {static_cast<int64_t>(ids.size())});
    set("block_tables", tables, {sequenceCount, kBlocksOfSequence});
    set("starts", starts, {sequenceCount + 1});
    set("lengths", lengths, {sequenceCount});
    set("logit_rows", rows, {sequenceCount});
    const auto shape = context_.outputShape(0);
    logits_.resize(static_cast<size_t>(shape[0] * shape[1]));
    context_.setOutput(0, logits_.data());
    context_.run();
    std::vector<std::vector<float>> out;
    for (int64_t s = 0; s < sequenceCount; ++s)
      out.emplace_back(logits_.begin() + s * shape[1], logits_.begin() + (s + 1) * shape[1]);
    return out;
  }

  // The layers of the last step that take longest, with their kernels.
  std::string slowest() {
    std::vector<LayerReport> layers = profileLayers(context_, 5);
    std::ranges::sort(layers, std::ranges::greater(), &LayerReport::milliseconds);
    std::string text = std::to_string(layers.size()) + " layers;";
    for (size_t i = 0; i < std::min<size_t>(layers.size(), 8); ++i)
      text += " " + layers[i].operators + " by " + layers[i].kernel + " " +
              std::to_string(layers[i].milliseconds) + ";";
    return text;
  }

 private:
  void set(const char* name, const std::vector<int32_t>& values, std::vector<int64_t> dims) {
    std::vector<int32_t>& held = inputs_[name] = values;
    context_.setInputShape(name, dims);
    context_.setInput(name, held.data());
  }

  Context context_;
  std::shared_ptr<Device> device_;
  std::vector<std::shared_ptr<Buffer>> caches_;
  std::vector<size_t> cached_;
  std::map<std::string, std::vector<int32_t>> inputs_;  // of the last step
  std::vector<float> logits_;
};

std::vector<std::vector<int32_t>> promptsOf(const std::vector<Case>& cases, size_t count) {
  std::vector<std::vector<int32_t>> prompts;
  for (size_t i = 0; i < std::min(count, cases.size()); ++i) prompts.push_back(cases[i].prompt);
  return prompts;
}

int32_t likeliest(const std::vector<float>& logits) {
  return static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin());
}

class PagedDecoder : public ::testing::TestWithParam<std::string> {
 protected:
  const std::string device = GetParam();
};

TEST_P(PagedDecoder, ChoosesTheTokensThatTransformersChoose) {
  for (const char* model : {"codelet-1m", "codelet-7m"}) {
    SCOPED_TRACE(model);
    const std::vector<Case> cases = casesOf(model);
    const Engine engine = decoderOn(device, model);
    Decoder decoder(engine, device, /*onDevice=*/true);
    // Four at most: so many sequences of sixteen blocks have blocks of their own.
    std::vector<std::vector<int32_t>> sequences = promptsOf(cases, 4);
    std::chrono::duration<double, std::milli> decoding{0};
    for (size_t i = 0; i < cases[0].tokens.size(); ++i) {
      const auto start = std::chrono::steady_clock::now();
      const auto logits = decoder.step(sequences);
      if (i > 2) decoding += std::chrono::steady_clock::now() - start;
      for (size_t s = 0; s < sequences.size(); ++s) sequences[s].push_back(likeliest(logits[s]));
    }
    for (size_t s = 0; s < sequences.size(); ++s) {
      const std::vector<int32_t> tokens(
          sequences[s].end() - static_cast<ptrdiff_t>(cases[s].tokens.size()), sequences[s].end());
      EXPECT_EQ(tokens, cases[s].tokens) << "sequence " << s;
    }
    const auto steps = static_cast<double>(cases[0].tokens.size() - 3);
    RecordProperty(std::string(model) + "_ms_per_step", std::to_string(decoding.count() / steps));
    RecordProperty(std::string(model) + "_slowest", decoder.slowest());
  }
}

TEST_P(PagedDecoder, KeepsCachesInTheHostsMemory) {
  const std::vector<Case> cases = casesOf("codelet-1m");
  const Engine engine = decoderOn(device, "codelet-1m");
  Decoder there(engine, device, true), here(engine, device, false);
  std::vector<std::vector<int32_t>> sequences = promptsOf(cases, 3);
  for (int i = 0; i < 4; ++i) {
    const auto logits = there.step(sequences);
    EXPECT_EQ(logits, here.step(sequences));
    for (size_t s = 0; s < sequences.size(); ++s) sequences[s].push_back(likeliest(logits[s]));
  }
}

TEST_P(PagedDecoder, ComputesInNarrowTypes) {
  const std::vector<Case> cases = casesOf("codelet-1m");
  const auto sequences = promptsOf(cases, 4);
  const auto exact = Decoder(decoderOn(device, "codelet-1m"), device, true).step(sequences);
  const std::pair<DType, float> kinds[] = {{DType::F16, 0.05f}, {DType::BF16, 0.4f}};
  for (const auto& [type, most] : kinds) {
    const auto narrow =
        Decoder(decoderOn(device, "codelet-1m", type), device, true).step(sequences);
    for (size_t s = 0; s < sequences.size(); ++s)
      for (size_t i = 0; i < exact[s].size(); ++i)
        ASSERT_NEAR(narrow[s][i], exact[s][i], most) << dtypeName(type) << " sequence " << s;
  }
}

INSTANTIATE_TEST_SUITE_P(All, PagedDecoder, ::testing::ValuesIn(deviceKinds()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace carnot
