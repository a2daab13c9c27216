#pragma once

#include <carnot/report.h>

#include <string>
#include <vector>

namespace carnot::cli {

// Machine-readable reports: one JSON object and a newline.
std::string benchJson(const std::string& path, const EngineInfo& info, const BenchReport& report);
std::string inspectJson(const std::string& path, const Engine& engine);

// What Engine::explain says, parsed.
struct Explanation {
  struct Time {
    double microseconds = 0;
    bool measured = false;
  };
  struct Candidate {
    std::string kernel, configuration;
    std::vector<Time> times;  // one for each point
  };
  struct Refusal {
    std::string kernel, reason;
  };
  struct Step {
    size_t index = 0;  // in the record
    std::string name, operators;
    std::string precision;  // "float32 (TF32 allowed)"
    std::vector<std::string> origins, inputs, outputs;
    std::vector<size_t> chosen;  // a candidate for each point
    std::vector<Candidate> candidates;
    std::vector<Refusal> refusals;
  };
  std::string device;
  std::vector<std::string> points;  // "batch=8, seq=128"; "fixed shapes" for none
  std::vector<Step> steps;
};

// Throws Error (Unsupported) when the engine carries no such record.
Explanation explanationOf(const Engine& engine);

// The record itself, with the steps that `kept` still has.
std::string explainJson(const Engine& engine, const Explanation& kept);

}  // namespace carnot::cli
