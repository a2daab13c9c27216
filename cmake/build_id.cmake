# Writes a header with the build's id: cmake -DHEADERS=list -DSALT=text -DOUTPUT=path -P this.
set(text "${SALT}")
foreach(header IN LISTS HEADERS)
  file(SHA256 "${header}" hash)
  string(APPEND text "${hash}")
endforeach()
string(SHA256 id "${text}")
string(SUBSTRING "${id}" 0 16 id)
file(WRITE "${OUTPUT}" "#define CARNOT_BUILD_ID \"${id}\"\n")
