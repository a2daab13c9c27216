#pragma once

#include <cstddef>
#include <cstdint>

namespace carnot {

// Order of work on the device of deviceMemory(), as programs written for CUDA know it. Work of one
// stream is done in order, that of several beside each other; events mark points in it. On the CPU
// work is done when the call that asks for it returns. May be used from several threads.
//
// Streams and events go by handles. On a GPU a stream's is its driver's (CUstream), and streams of
// other libraries in the process may be named by theirs. 0 is the default stream. Every call throws
// Error (InvalidArgument) for a handle that is none.
class DeviceStreams {
 public:
  virtual ~DeviceStreams() = default;
  using Handle = uintptr_t;

  // `afterDefault`: in order with the default stream too, as streams of CUDA are unless asked.
  virtual Handle createStream(bool afterDefault) = 0;
  virtual void destroyStream(Handle stream) = 0;  // of createStream; its work is done all the same
  virtual void checkStream(Handle stream) const = 0;
  virtual void synchronize(Handle stream) = 0;  // returns when all its work is done
  virtual bool isIdle(Handle stream) = 0;       // whether it is
  // What is issued to the stream from now on waits for what the event was recorded after.
  virtual void wait(Handle stream, Handle event) = 0;

  virtual Handle createEvent() = 0;
  virtual void destroyEvent(Handle event) = 0;
  virtual void record(Handle event, Handle stream) = 0;
  virtual void synchronizeEvent(Handle event) = 0;
  virtual bool isReached(Handle event) = 0;  // whether all that it was recorded after is done
  // By the device's clock. Throws Error (InvalidArgument) unless both were recorded and reached.
  virtual double millisecondsBetween(Handle start, Handle end) = 0;

  // As DeviceMemory's, in the stream's order. The host's memory may be used again when copyToDevice
  // returns, and holds the bytes once the stream is synchronized after copyToHost; memory of
  // allocateHost is copied without holding up the caller and is free once the stream is through.
  virtual void copyToDevice(void* device, const void* host, size_t bytes, Handle stream) = 0;
  virtual void copyToHost(void* host, const void* device, size_t bytes, Handle stream) = 0;
  virtual void copyOnDevice(void* to, const void* from, size_t bytes, Handle stream) = 0;
  virtual void fill(void* device, uint32_t value, int width, size_t count, Handle stream) = 0;
};

// Those of the device of deviceMemory(). Throws as that does.
DeviceStreams& deviceStreams();

}  // namespace carnot
